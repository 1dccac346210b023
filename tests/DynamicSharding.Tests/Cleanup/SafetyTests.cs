using System.Collections.Concurrent;
using System.Globalization;
using DynamicSharding.Config;
using Xunit.Abstractions;

namespace DynamicSharding.Tests.Cleanup;

/// <summary>
/// Random histories of gateways that follow Pushgateway's rules, with two instances whose real passes clean them without knowing of each other.
/// </summary>
[Collection(ProcessWideTestGroup.Name)]
public sealed class SafetyTests(ITestOutputHelper output)
{
    private const int Histories = 1000;

    [Fact]
    public async Task No_history_deletes_the_newest_copy_and_every_one_that_comes_to_rest_is_clean()
    {
        var problems = new ConcurrentBag<string>();
        long deletes = 0, copies = 0;
        // Away from the test's synchronization context, which would move what a timer continues to another thread.
        await Task.Run(() => Parallel.For(0, Histories, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, seed =>
        {
            var history = new History(seed);
            history.Run();
            foreach (string problem in history.Problems) problems.Add(string.Create(CultureInfo.InvariantCulture, $"seed {seed}: {problem}"));
            Interlocked.Add(ref deletes, history.Deletes);
            Interlocked.Add(ref copies, history.CopiesAtRest);
        }));

        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Histories} histories, {deletes} deletes by cleaners, {copies} copies at the end"));
        foreach (string problem in problems.Order().Take(20)) output.WriteLine(problem);
        Assert.Equal([], problems.Order().Take(20));

        // A cleaner that deletes nothing is safe, and so is a history without copies.
        Assert.True(deletes > Histories, $"only {deletes} deletes");
        Assert.True(copies > Histories, $"only {copies} copies");
    }

    /// <summary>The owner's clock is 10 s ahead and the other's 10 s behind, so that the older copy has the later push time by more than the margin.</summary>
    [Theory]
    [InlineData(10)]
    [InlineData(40)]
    public Task Clocks_that_differ_do_not_make_the_newest_copy_a_stale_one(int skew) => Task.Run(() =>
    {
        var clock = new SimulatedClock();
        var fleet = new SimulatedFleet(clock, new Random(1)) { BreaksOff = false };
        SimulatedGateway old = new("g0:9091", TimeSpan.FromSeconds(-skew), persists: false, clock), owner = new("g1:9091", TimeSpan.FromSeconds(skew), persists: false, clock);
        fleet.Gateways.Add(old.Address, old);
        fleet.Gateways.Add(owner.Address, owner);
        var instance = new SimulatedInstance(fleet, new CleanupOptions { Enabled = true, Settle = TimeSpan.Zero });
        instance.SetRing([owner.Address]);
        clock.RunUntil(TimeSpan.FromSeconds(100));
        owner.Push("a", ["m"], replace: true, refused: false);
        clock.RunUntil(TimeSpan.FromSeconds(112));
        old.Push("a", ["m"], replace: true, refused: false);

        instance.StartPass();
        clock.RunUntil(TimeSpan.FromMinutes(5));

        instance.ThrowIfFailed();
        Assert.Equal([], fleet.Violations);
        Assert.Equal(skew > 30 ? "ClockSkew" : "NotOlder", Assert.Single(instance.Last!.LeftCopies).Reason.ToString());
        Assert.Single(old.Store);
    });

    private sealed class History
    {
        private static readonly TimeSpan Active = TimeSpan.FromMinutes(25);
        private static readonly TimeSpan End = TimeSpan.FromMinutes(45);

        private readonly SimulatedClock _clock = new();
        private readonly Random _random;
        private readonly SimulatedFleet _fleet;
        private readonly SimulatedInstance[] _instances;
        private readonly string[] _addresses;
        private readonly HashSet<string> _lostDeletes = new(StringComparer.Ordinal);
        private readonly Dictionary<string, TimeSpan> _lastPush = new(StringComparer.Ordinal);

        public History(int seed)
        {
            _random = new Random(seed);
            _fleet = new SimulatedFleet(_clock, _random);
            _addresses = [.. Enumerable.Range(0, _random.Next(2, 5)).Select(i => $"g{i}:9091")];
            foreach (string address in _addresses)
            {
                var skew = TimeSpan.FromSeconds((_random.NextDouble() * 20) - 10);
                _fleet.Gateways.Add(address, new SimulatedGateway(address, skew, persists: _random.Next(2) == 0, _clock));
            }

            GroupMatcher.TryParse("job=~\"old.*\"", out GroupMatcher old);
            var options = new CleanupOptions { Enabled = true, Expire = [new ExpireRule([old], _fleet.ExpireAfter)] };
            _instances = [new(_fleet, options), new(_fleet, options)];
            foreach (SimulatedInstance instance in _instances) instance.SetRing(_addresses);
        }

        public List<string> Problems { get; } = [];

        public long Deletes => _fleet.Deletes;

        public long CopiesAtRest { get; private set; }

        public void Run()
        {
            ScheduleClients();
            ScheduleFaults();
            foreach (SimulatedInstance instance in _instances)
            {
                for (TimeSpan at = Seconds(_random.Next(60)); at < End; at += Seconds(_random.Next(60, 120))) _clock.At(at, instance.StartPass);
            }

            foreach (SimulatedGateway gateway in _fleet.Gateways.Values)
            {
                for (TimeSpan at = Seconds(_random.Next(200)); at < End; at += Seconds(200)) _clock.At(at, gateway.Save);
            }

            _clock.RunUntil(End);
            foreach (SimulatedInstance instance in _instances)
            {
                instance.ThrowIfFailed();
                if (!instance.IsIdle) instance.SetRing(_addresses);
            }

            _clock.RunUntil(End + TimeSpan.FromMinutes(5));
            Problems.AddRange(_fleet.Violations);
            CheckRest();
        }

        private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);

        private void ScheduleClients()
        {
            int jobs = _random.Next(3, 7);
            for (int i = 0; i < jobs; i++)
            {
                string job = (_random.Next(4) == 0 ? "old" : "job") + i.ToString(CultureInfo.InvariantCulture);
                double period = _random.Next(15, 61);
                bool replaces = _random.Next(2) == 0;
                TimeSpan stops = _random.Next(2) == 0 ? Active + TimeSpan.FromMinutes(4) : Seconds(_random.Next(60, (int)Active.TotalSeconds));
                for (TimeSpan at = Seconds(_random.NextDouble() * period); at < stops; at += Seconds(period + _random.NextDouble()))
                {
                    _clock.At(at, () => Push(job, replaces));
                }

                // Some clients delete their group, in the middle of their pushes or after the last.
                for (int deletes = _random.Next(3) == 0 ? _random.Next(1, 3) : 0; deletes > 0; deletes--)
                {
                    _clock.At(_random.Next(2) == 0 ? stops + Seconds(5) : Seconds(_random.Next(100, (int)Active.TotalSeconds)), () => Delete(job));
                }
            }
        }

        /// <summary>Ring changes that reach the instances at different times, kills with and without a file, instances that restart.</summary>
        private void ScheduleFaults()
        {
            for (TimeSpan at = Seconds(_random.Next(100, 400)); at < Active; at += Seconds(_random.Next(60, 500)))
            {
                string[] members = [.. _addresses.Where(_ => _random.Next(3) > 0)];
                if (members.Length == 0) members = [_addresses[0]];
                foreach (SimulatedInstance instance in _instances)
                {
                    // A partition: one instance keeps its ring for minutes, and goes on cleaning by it.
                    double lag = _random.Next(4) == 0 ? _random.Next(60, 600) : _random.NextDouble() * 5;
                    _clock.At(Min(at + Seconds(lag), Active), () => instance.SetRing(members));
                }
            }

            for (TimeSpan at = Seconds(_random.Next(100, 600)); at < Active; at += Seconds(_random.Next(100, 900)))
            {
                SimulatedGateway gateway = _fleet.Gateways[_addresses[_random.Next(_addresses.Length)]];
                _clock.At(at, gateway.Kill);
                _clock.At(Min(at + Seconds(_random.Next(1, 120)), Active), gateway.Start);
            }

            if (_random.Next(5) == 0) _clock.At(Seconds(_random.Next(100, (int)Active.TotalSeconds)), RestartInstance);
            _clock.At(Active + Seconds(1), () =>
            {
                _fleet.BreaksOff = false;
                foreach (SimulatedInstance instance in _instances) instance.SetRing(_addresses);
                foreach (SimulatedGateway gateway in _fleet.Gateways.Values) gateway.Start();
            });
        }

        private void RestartInstance()
        {
            SimulatedInstance instance = _instances[_random.Next(_instances.Length)];
            _lostDeletes.UnionWith(_fleet.ClientDeletes.Keys);
            instance.Restart();
        }

        private void Push(string job, bool replaces)
        {
            SimulatedGateway owner = _instances[_random.Next(_instances.Length)].OwnerOf(job);
            if (!owner.IsAlive) return;
            string[] families = _random.Next(10) == 0 ? ["m1", "m2"] : ["m1"];
            owner.Push(job, families, replaces, refused: _random.Next(25) == 0);
            _lastPush[job] = _clock.Now;
        }

        /// <summary>A client waits for its push before it deletes.</summary>
        private void Delete(string job)
        {
            SimulatedInstance instance = _instances[_random.Next(_instances.Length)];
            SimulatedGateway owner = instance.OwnerOf(job);
            if (!owner.IsAlive) return;
            if (_lastPush.TryGetValue(job, out TimeSpan pushed) && _clock.Now - pushed < Seconds(3)) return;
            owner.Store.Remove(job);
            instance.Deletes.Add(SimulatedFleet.Group(job).Key, _clock.GetUtcNow());
            _fleet.ClientDeletes[job] = _clock.Now;
            _lostDeletes.Remove(job);
        }

        private void CheckRest()
        {
            HashSet<(string, string)> reported = [.. _instances.SelectMany(static instance => instance.Last!.LeftCopies).Select(static left => (left.Labels[0].Value, left.Gateway))];
            foreach (IGrouping<string, (string Job, SimulatedGateway Gateway, SimulatedCopy Copy)> copies in _fleet.Gateways.Values
                .SelectMany(static gateway => gateway.Store.Select(stored => (Job: stored.Key, Gateway: gateway, Copy: stored.Value)))
                .GroupBy(static copy => copy.Job, StringComparer.Ordinal))
            {
                CopiesAtRest += copies.Count();

                // Of two copies, the report names the one that is not on the owner, whichever is newer.
                SimulatedGateway owner = _instances[0].OwnerOf(copies.Key);
                foreach ((string job, SimulatedGateway gateway, SimulatedCopy copy) in copies)
                {
                    if (copies.Count() > 1 && gateway != owner && !reported.Contains((job, gateway.Address))) Problems.Add($"a copy of {job} is left on {gateway.Address}, pushed at {copy.TruePush}, and nobody says so");
                    bool isDeleted = _fleet.ClientDeletes.TryGetValue(job, out TimeSpan at) && at > copy.TrueActivity && !_lostDeletes.Contains(job);
                    if (isDeleted) Problems.Add($"{job} was deleted at {at}, and a copy pushed at {copy.TruePush} is on {gateway.Address}");
                }
            }
        }

        private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
    }
}
