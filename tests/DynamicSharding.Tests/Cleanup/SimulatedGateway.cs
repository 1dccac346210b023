using System.Globalization;
using System.Text;

namespace DynamicSharding.Tests.Cleanup;

/// <summary>One copy of a group. <see cref="TruePush"/> is what no gateway knows: when the last push that succeeded happened.</summary>
internal sealed class SimulatedCopy
{
    public double PushTime { get; set; }

    public double FailureTime { get; set; }

    /// <summary>Negative if none has succeeded.</summary>
    public TimeSpan TruePush { get; set; } = TimeSpan.MinValue;

    public TimeSpan TrueFailure { get; set; } = TimeSpan.MinValue;

    /// <summary>What the age of a copy counts from.</summary>
    public TimeSpan TrueActivity => TruePush >= TimeSpan.Zero ? TruePush : TrueFailure;

    public SortedSet<string> Families { get; init; } = new(StringComparer.Ordinal);

    public bool LastSuccessful => FailureTime <= PushTime;

    public SimulatedCopy Clone() => new() { PushTime = PushTime, FailureTime = FailureTime, TruePush = TruePush, TrueFailure = TrueFailure, Families = new(Families, StringComparer.Ordinal) };
}

/// <summary>
/// A Pushgateway by its rules: PUT replaces a group and POST its families of the same name, a refused push sets the failure time alone, push times
/// are of its own clock, and a file that is written now and then is all that a killed process has left.
/// </summary>
internal sealed class SimulatedGateway(string address, TimeSpan skew, bool persists, SimulatedClock clock)
{
    private readonly Dictionary<string, SimulatedCopy> _file = new(StringComparer.Ordinal);
    private TimeSpan _started;

    public string Address { get; } = address;

    public bool IsAlive { get; private set; } = true;

    public Dictionary<string, SimulatedCopy> Store { get; private set; } = new(StringComparer.Ordinal);

    public DateTimeOffset Clock => clock.GetUtcNow() + skew;

    private double Seconds => Clock.ToUnixTimeMilliseconds() / 1000.0;

    public void Push(string job, string[] families, bool replace, bool refused)
    {
        if (refused)
        {
            if (!Store.TryGetValue(job, out SimulatedCopy? failed)) Store.Add(job, failed = new SimulatedCopy());
            failed.FailureTime = Seconds;
            failed.TrueFailure = clock.Now;
            return;
        }

        SimulatedCopy? before = Store.GetValueOrDefault(job);
        var families2 = new SortedSet<string>(families, StringComparer.Ordinal);
        if (!replace && before is not null) families2.UnionWith(before.Families);
        Store[job] = new SimulatedCopy { PushTime = Seconds, FailureTime = replace ? 0 : before?.FailureTime ?? 0, TruePush = clock.Now, TrueFailure = before?.TrueFailure ?? TimeSpan.MinValue, Families = families2 };
    }

    public void Save()
    {
        if (!persists || !IsAlive) return;
        _file.Clear();
        foreach ((string job, SimulatedCopy copy) in Store) _file[job] = copy.Clone();
    }

    public void Kill() => IsAlive = false;

    public void Start()
    {
        if (IsAlive) return;
        IsAlive = true;
        _started = clock.Now;
        Store = _file.ToDictionary(static saved => saved.Key, static saved => saved.Value.Clone(), StringComparer.Ordinal);
    }

    public string StatusJson() => "{\"status\":\"success\",\"data\":{\"flags\":{\"push.enable-utf8-names\":\"false\"},\"start_time\":\"" + _started + "\"}}";

    public string GroupsJson()
    {
        var json = new StringBuilder("""{"status":"success","data":[""");
        foreach ((string job, SimulatedCopy copy) in Store)
        {
            if (json[^1] == '}') json.Append(',');
            json.Append(CultureInfo.InvariantCulture, $$$"""{"labels":{"job":"{{{job}}}"},"last_push_successful":{{{(copy.LastSuccessful ? "true" : "false")}}}""");
            foreach (string family in copy.Families) Append(family, 1);
            Append("push_time_seconds", copy.PushTime);
            Append("push_failure_time_seconds", copy.FailureTime);
            json.Append('}');
        }

        return json.Append("]}").ToString();

        void Append(string name, double value) => json.Append(",\"").Append(name)
            .Append("\":{\"time_stamp\":\"t\",\"type\":\"GAUGE\",\"help\":\"h\",\"metrics\":[{\"labels\":{},\"value\":\"")
            .Append(value.ToString("R", CultureInfo.InvariantCulture)).Append("\"}]}");
    }
}
