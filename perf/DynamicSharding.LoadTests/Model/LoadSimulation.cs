namespace DynamicSharding.LoadTests.Model;

/// <summary>A stretch of load, named as in NBomber. A scenario's simulations follow one another.</summary>
internal abstract record LoadSimulation(TimeSpan During)
{
    /// <summary>The highest rate of the stretch; 0 when the replies set the rate.</summary>
    public virtual double PeakRate => 0;

    public abstract LoadSimulation Scaled(double time, double rate);

    /// <summary>Open: so many requests a second, whether replies come or not.</summary>
    public sealed record Inject(double Rate, TimeSpan During) : LoadSimulation(During)
    {
        public override double PeakRate => Rate;

        public override LoadSimulation Scaled(double time, double rate) => new Inject(Rate * rate, During * time);
    }

    /// <summary>Open: from the rate of the simulation before (0 for the first) in a straight line to this one.</summary>
    public sealed record RampingInject(double Rate, TimeSpan During) : LoadSimulation(During)
    {
        public override double PeakRate => Rate;

        public override LoadSimulation Scaled(double time, double rate) => new RampingInject(Rate * rate, During * time);
    }

    /// <summary>Closed: so many clients, each of which sends again when its reply has come. Shows throughput; hides waiting.</summary>
    public sealed record KeepConstant(int Copies, TimeSpan During) : LoadSimulation(During)
    {
        public override LoadSimulation Scaled(double time, double rate) => this with { During = During * time };
    }
}
