namespace DynamicSharding.LoadTests.Model;

/// <summary>A phase of load, named as in NBomber. A scenario runs its simulations one by one.</summary>
internal abstract record LoadSimulation(TimeSpan During)
{
    /// <summary>The highest rate; 0 if the replies set the rate.</summary>
    public virtual double PeakRate => 0;

    public abstract LoadSimulation Scaled(double time, double rate);

    /// <summary>Open: a fixed rate, whether replies come or not.</summary>
    public sealed record Inject(double Rate, TimeSpan During) : LoadSimulation(During)
    {
        public override double PeakRate => Rate;

        public override LoadSimulation Scaled(double time, double rate) => new Inject(Rate * rate, During * time);
    }

    /// <summary>Open: a linear ramp from the previous simulation's rate (0 for the first).</summary>
    public sealed record RampingInject(double Rate, TimeSpan During) : LoadSimulation(During)
    {
        public override double PeakRate => Rate;

        public override LoadSimulation Scaled(double time, double rate) => new RampingInject(Rate * rate, During * time);
    }

    /// <summary>Closed: each client sends again when it has its reply. Shows throughput; hides queueing.</summary>
    public sealed record KeepConstant(int Copies, TimeSpan During) : LoadSimulation(During)
    {
        public override LoadSimulation Scaled(double time, double rate) => this with { During = During * time };
    }
}
