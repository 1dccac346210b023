namespace DynamicSharding.Tests.Server;

/// <summary>Tests that read what the whole process did (allocations): nothing else runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class ProcessWideTestGroup
{
    public const string Name = "process-wide";
}
