using System.Collections.Immutable;
using System.Globalization;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>Collects everything that is wrong with one file, so that an operator mends it in one go.</summary>
internal sealed class ConfigProblems(string file)
{
    /// <summary>More than anybody mends in one go. A file that is no configuration has one for every line.</summary>
    private const int MaxShown = 100;

    private readonly List<ConfigProblem> _errors = [];
    private readonly List<ConfigProblem> _warnings = [];
    private int _hiddenErrors;
    private int _hiddenWarnings;

    /// <summary>The file as the operator named it.</summary>
    public string File { get; } = file;

    public bool HasErrors => _errors.Count > 0;

    /// <summary>False when a further error is only counted, so that its sentence need not be made.</summary>
    public bool ShowsMoreErrors => _errors.Count < MaxShown;

    public ImmutableArray<ConfigProblem> Errors => InFileOrder(_errors, _hiddenErrors, "error");

    public ImmutableArray<ConfigProblem> Warnings => InFileOrder(_warnings, _hiddenWarnings, "warning");

    /// <summary>About the file as a whole.</summary>
    public void Error(string message) => AddError(new ConfigProblem(File, 0, 0, message));

    public void Error(int line, int column, string message) => AddError(new ConfigProblem(File, line, column, message));

    public void Error(YamlNode node, string message) => Error(node.Line, node.Column, message);

    public void EnvironmentError(string message) => AddError(new ConfigProblem("environment", 0, 0, message));

    public void Warning(YamlNode node, string message)
    {
        if (_warnings.Count < MaxShown) _warnings.Add(new ConfigProblem(File, node.Line, node.Column, message));
        else _hiddenWarnings++;
    }

    private void AddError(ConfigProblem error)
    {
        if (ShowsMoreErrors) _errors.Add(error);
        else _hiddenErrors++;
    }

    private ImmutableArray<ConfigProblem> InFileOrder(List<ConfigProblem> problems, int hidden, string kind)
    {
        IEnumerable<ConfigProblem> sorted = problems.OrderBy(problem => problem.Line).ThenBy(problem => problem.Column);
        if (hidden == 0) return [.. sorted];
        string count = string.Create(CultureInfo.InvariantCulture, $"{hidden} more {kind}{(hidden == 1 ? "" : "s")} not shown");
        return [.. sorted, new ConfigProblem(File, 0, 0, count)];
    }
}

/// <summary>Something wrong with the configuration, in a sentence that names the key and the remedy.</summary>
/// <param name="Source">The file as it was named, or <c>environment</c>.</param>
/// <param name="Line">From 1; 0 when the problem has no place inside the source.</param>
/// <param name="Column">From 1, in characters.</param>
internal sealed record ConfigProblem(string Source, int Line, int Column, string Message)
{
    public override string ToString() => Line == 0
        ? $"{Source}: {Message}"
        : string.Create(CultureInfo.InvariantCulture, $"{Source}:{Line}:{Column}: {Message}");
}
