using System.Collections.Immutable;
using System.Globalization;
using DynamicSharding.Config.Yaml;

namespace DynamicSharding.Config;

/// <summary>Collects all problems of a file, so that an operator can fix them in one go.</summary>
internal sealed class ConfigProblems(string file)
{
    /// <summary>A file of another kind has a problem on every line.</summary>
    private const int MaxShown = 100;

    private const string Environment = "environment";

    private readonly string _shown = file.Length == 0 ? "configuration file" : ConfigText.FileName(file);
    private readonly List<ConfigProblem> _errors = [];
    private readonly List<ConfigProblem> _warnings = [];
    private int _hiddenErrors;
    private int _hiddenWarnings;

    /// <summary>The path as given.</summary>
    public string File { get; } = file;

    public bool HasErrors => _errors.Count > 0;

    /// <summary>False when further errors are only counted, and need no message.</summary>
    public bool ShowsMoreErrors => _errors.Count < MaxShown;

    public ImmutableArray<ConfigProblem> Errors => InFileOrder(_errors, _hiddenErrors, "error");

    public ImmutableArray<ConfigProblem> Warnings => InFileOrder(_warnings, _hiddenWarnings, "warning");

    /// <summary>About the file as a whole.</summary>
    public void Error(string message) => AddError(new ConfigProblem(_shown, 0, 0, message));

    public void Error(int line, int column, string message) => AddError(new ConfigProblem(_shown, line, column, message));

    public void Error(YamlNode node, string message) => Error(node.Line, node.Column, message);

    public void EnvironmentError(string message) => AddError(new ConfigProblem(Environment, 0, 0, message));

    public void Warning(YamlNode node, string message) => AddWarning(new ConfigProblem(_shown, node.Line, node.Column, message));

    /// <summary>About the file as a whole.</summary>
    public void Warning(string message) => AddWarning(new ConfigProblem(_shown, 0, 0, message));

    /// <summary>About the file as a whole.</summary>
    public void Deprecation(string message) => AddWarning(new ConfigProblem(_shown, 0, 0, message) { IsDeprecation = true });

    public void EnvironmentWarning(string message) => AddWarning(new ConfigProblem(Environment, 0, 0, message));

    private void AddWarning(ConfigProblem warning)
    {
        if (_warnings.Count < MaxShown) _warnings.Add(warning);
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
        return [.. sorted, new ConfigProblem(_shown, 0, 0, count)];
    }
}

/// <param name="Source">The path as given, or <c>environment</c>.</param>
/// <param name="Line">From 1; 0 for the source as a whole.</param>
/// <param name="Column">From 1, in characters.</param>
internal sealed record ConfigProblem(string Source, int Line, int Column, string Message)
{
    /// <summary>About a way to hand over the file that a later version may refuse, so that every command warns about it.</summary>
    public bool IsDeprecation { get; init; }

    /// <summary>For output without levels.</summary>
    public string AsWarning() => (this with { Message = "warning: " + Message }).ToString();

    public override string ToString() => Line == 0
        ? $"{Source}: {Message}"
        : string.Create(CultureInfo.InvariantCulture, $"{Source}:{Line}:{Column}: {Message}");
}
