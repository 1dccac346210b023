namespace DynamicSharding.LoadTests.Model;

/// <summary>
/// When a scenario's writes are due, in nanoseconds of the run's clock. They depend on the simulations alone, not on the server's
/// delays, so the measurement has no coordinated omission.
/// </summary>
internal sealed class Schedule
{
    private const double Nanosecond = 1e9;

    private readonly LoadSimulation[] _simulations;
    private readonly int _pipeline;
    private int _current = -1;
    private double _start;
    private double _end;
    private double _rateBefore;
    private double _rateAtStart;
    private long _taken;

    public Schedule(Scenario scenario, TimeSpan warmUp)
    {
        _pipeline = scenario.Pipeline;
        _simulations = warmUp > TimeSpan.Zero ? [WarmUp(scenario.Load[0], warmUp), .. scenario.Load] : [.. scenario.Load];
        _end = -warmUp.TotalSeconds;
        Next();
    }

    /// <summary>When the next write is due; <see cref="long.MaxValue"/> after the last and where replies set the rate.</summary>
    public long NextDue { get; private set; }

    public bool Ended => _current == _simulations.Length;

    /// <summary>Takes the next write if it is due. Time must not go backwards between calls.</summary>
    /// <param name="busy">Clients that wait for replies.</param>
    /// <param name="intended">When it should have been sent.</param>
    public bool TryTake(long now, int busy, out long intended)
    {
        while (!Ended && _simulations[_current] is LoadSimulation.KeepConstant constant)
        {
            intended = now;
            if (now < ToNanoseconds(_end)) return busy < constant.Copies;
            Next();
        }

        intended = NextDue;
        if (Ended || now < NextDue) return false;
        _taken++;
        SetNextDue();
        return true;
    }

    private void Next()
    {
        while (true)
        {
            _rateAtStart = _rateBefore;
            _start = _end;
            _current++;
            NextDue = long.MaxValue;
            if (Ended) return;
            LoadSimulation simulation = _simulations[_current];
            _end = _start + simulation.During.TotalSeconds;
            // A ramp does not start at the warm-up's rate.
            _rateBefore = _start < 0 ? 0 : simulation.PeakRate;
            _taken = 0;
            if (simulation is LoadSimulation.KeepConstant) return;
            double first = SecondsTo(0);
            if (first >= simulation.During.TotalSeconds) continue;
            NextDue = ToNanoseconds(_start + first);
            return;
        }
    }

    private void SetNextDue()
    {
        double seconds = SecondsTo(_taken);
        if (_start + seconds < _end) NextDue = ToNanoseconds(_start + seconds);
        else Next();
    }

    /// <summary>Time from the simulation's start to its n-th write: where the integral of the rate reaches n.</summary>
    private double SecondsTo(long number)
    {
        double rate = _simulations[_current].PeakRate / _pipeline;
        if (_simulations[_current] is LoadSimulation.Inject) return number / rate;
        double start = _rateAtStart / _pipeline;
        double slope = (rate - start) / (_end - _start);
        if (slope == 0) return number / rate;
        double square = (start * start) + (2 * slope * number);
        return square < 0 ? double.PositiveInfinity : (Math.Sqrt(square) - start) / slope;
    }

    private static LoadSimulation WarmUp(LoadSimulation first, TimeSpan duration) => first switch
    {
        LoadSimulation.KeepConstant constant => constant with { During = duration },
        _ => new LoadSimulation.Inject(first.PeakRate, duration),
    };

    private static long ToNanoseconds(double seconds) => (long)Math.Round(seconds * Nanosecond);
}
