using System.Collections.Immutable;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>Collects everything that is wrong with one file, so that an operator mends it in one go.</summary>
internal sealed class ConfigProblems(string file)
{
    private readonly List<ConfigProblem> _errors = [];
    private readonly List<ConfigProblem> _warnings = [];

    /// <summary>The file as the operator named it.</summary>
    public string File { get; } = file;

    public bool HasErrors => _errors.Count > 0;

    public ImmutableArray<ConfigProblem> Errors => InFileOrder(_errors);

    public ImmutableArray<ConfigProblem> Warnings => InFileOrder(_warnings);

    /// <summary>About the file as a whole.</summary>
    public void Error(string message) => _errors.Add(new ConfigProblem(File, 0, 0, message));

    public void Error(int line, int column, string message) => _errors.Add(new ConfigProblem(File, line, column, message));

    public void Error(YamlNode node, string message) => Error(node.Line, node.Column, message);

    public void EnvironmentError(string message) => _errors.Add(new ConfigProblem("environment", 0, 0, message));

    public void Warning(YamlNode node, string message) => _warnings.Add(new ConfigProblem(File, node.Line, node.Column, message));

    private static ImmutableArray<ConfigProblem> InFileOrder(List<ConfigProblem> problems) =>
        [.. problems.OrderBy(problem => problem.Line).ThenBy(problem => problem.Column)];
}
