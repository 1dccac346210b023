using DynamicSharding.Config;
using DynamicSharding.Discovery;
using DynamicSharding.Membership;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Membership;

/// <summary>The policy with a clock that jumps from deadline to deadline, and a record of its decisions.</summary>
internal sealed class PolicyHarness
{
    public static readonly TimeSpan ConsulVerdictTimeout = TimeSpan.FromSeconds(12);

    private readonly FakeTimeProvider _time = new();
    private readonly DateTimeOffset _start;
    private readonly Dictionary<string, GatewayVerdict> _verdicts = [];

    public PolicyHarness(MembershipOptions? options = null, params string[] servers)
    {
        Options = options ?? new MembershipOptions();
        _start = _time.GetUtcNow();
        Policy = new MembershipPolicy(Options, _time);
        Configure(servers);
    }

    public MembershipOptions Options { get; set; }

    public MembershipPolicy Policy { get; }

    public List<(double At, PolicyDecision Decision)> Rings { get; } = [];

    /// <summary>Without the first.</summary>
    public int Changes => Rings.Count - 1;

    public string Ring => string.Join(',', Policy.Members);

    public double Now => (_time.GetUtcNow() - _start).TotalSeconds;

    public TimeSpan VerdictTimeout { get; set; } = Timeout.InfiniteTimeSpan;

    public void Configure(params string[] servers) => Record(Policy.Configure([.. servers], Options));

    public void Weigh(params (string Address, int Weight)[] servers) =>
        Configure([.. servers.Select(static s => s.Address)], servers.ToDictionary(static s => s.Address, static s => s.Weight));

    public void Configure(string[] servers, IReadOnlyDictionary<string, int> weights) => Record(Policy.Configure([.. servers], Options, weights));

    public void Observe(GatewayVerdict[] verdicts, bool adopt = false)
    {
        _verdicts.Clear();
        foreach (GatewayVerdict verdict in verdicts) _verdicts[verdict.Address] = verdict;
        Report(adopt);
    }

    public void Say(string address, GatewayHealth health, string? output = null, bool overloaded = false, bool foreign = false)
    {
        _verdicts[address] = new GatewayVerdict(address, health, overloaded, output) { Foreign = foreign };
        Report();
    }

    public void SayAll(GatewayHealth health, params string[] addresses)
    {
        foreach (string address in addresses) _verdicts[address] = new GatewayVerdict(address, health, false, null);
        Report();
    }

    public void Prune(params string[] addresses)
    {
        foreach (string address in addresses) _verdicts.Remove(address);
        Report();
    }

    public void Report(bool adopt = false) =>
        Record(Policy.Observe(new GatewayReport([.. _verdicts.Values], VerdictTimeout) { Adopt = adopt, MustBeFresh = MustBeFresh, IsList = IsList }));

    public void Adopt(params (string Address, GatewayHealth Health)[] answer)
    {
        VerdictTimeout = ConsulVerdictTimeout;
        _verdicts.Clear();
        foreach ((string address, GatewayHealth health) in answer) _verdicts[address] = new GatewayVerdict(address, health, false, null);
        Report(adopt: true);
    }

    /// <summary>The reports are of a complete list.</summary>
    public bool IsList { get; set; }

    /// <summary>A source that may fall silent without an error, like Consul.</summary>
    public bool MustBeFresh { get; set; }

    /// <summary>Advances the time, with the same report every second.</summary>
    public void Hear(double seconds)
    {
        for (double heard = 0; heard < seconds; heard++)
        {
            Advance(Math.Min(1, seconds - heard));
            Report();
        }
    }

    public void Interrupt() => Record(Policy.Observe(GatewayReport.Interruption));

    /// <summary>Advances the time and stops at every deadline, like the service.</summary>
    public void Advance(double seconds)
    {
        DateTimeOffset end = _time.GetUtcNow() + TimeSpan.FromSeconds(seconds);
        while (Policy.NextDeadline is { } due && _time.GetUtcNow() + due <= end)
        {
            Assert.True(due > TimeSpan.Zero, "a deadline that does not move would spin");
            _time.Advance(due);
            Record(Policy.Tick());
        }

        if (end > _time.GetUtcNow()) _time.Advance(end - _time.GetUtcNow());
        Record(Policy.Tick());
    }

    public GatewayStatus Status(string address) => Policy.Statuses().Single(g => g.Address == address);

    private void Record(PolicyDecision? decision)
    {
        if (decision is null) return;
        Assert.Equal(decision.Members, Policy.Members);
        Rings.Add((Now, decision));
    }
}
