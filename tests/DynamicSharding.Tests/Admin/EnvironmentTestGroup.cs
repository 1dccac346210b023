namespace DynamicSharding.Tests.Admin;

/// <summary>Environment variables are the whole process's: nothing else runs while a test sets them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public static class EnvironmentTestGroup
{
    public const string Name = "environment";
}
