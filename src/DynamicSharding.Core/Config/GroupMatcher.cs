using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace DynamicSharding.Config;

/// <summary>
/// Selects groups as a Prometheus selector selects series: <c>job="nightly", instance!~"test.*"</c>, all of which must match. A label that a group
/// does not have counts as empty, and regular expressions are anchored.
/// </summary>
internal sealed class GroupMatcher : IEquatable<GroupMatcher>
{
    private readonly ImmutableArray<LabelMatcher> _matchers;

    private GroupMatcher(string text, ImmutableArray<LabelMatcher> matchers) => (Text, _matchers) = (text, matchers);

    /// <summary>As written.</summary>
    public string Text { get; }

    /// <param name="text">The matchers, with or without braces.</param>
    /// <param name="matcher">Null if there is a problem.</param>
    /// <returns>What is wrong, with the place in the text, or null.</returns>
    public static string? TryParse(string text, out GroupMatcher matcher)
    {
        var reader = new MatcherReader(text);
        string? problem = reader.Read();
        matcher = problem is null ? new GroupMatcher(text, reader.Matchers) : null!;
        return problem;
    }

    /// <param name="labels">Of a group, each name once.</param>
    public bool Matches(IReadOnlyList<KeyValuePair<string, string>> labels)
    {
        foreach (LabelMatcher matcher in _matchers)
        {
            if (!matcher.Matches(ValueOf(labels, matcher.Name))) return false;
        }

        return true;
    }

    /// <summary>
    /// A label must be there for it: Prometheus takes no other selectors either, since a misspelled name with an empty value selects everything.
    /// </summary>
    public bool IsSelective => _matchers.Any(static matcher => !matcher.Matches(""));

    /// <summary>One of several is enough, as with the <c>match[]</c> of Prometheus; none selects nothing.</summary>
    public static bool AnyMatches(ImmutableArray<GroupMatcher> matchers, IReadOnlyList<KeyValuePair<string, string>> labels)
    {
        foreach (GroupMatcher matcher in matchers)
        {
            if (matcher.Matches(labels)) return true;
        }

        return false;
    }

    public bool Equals(GroupMatcher? other) => other is not null && other.Text == Text;

    public override bool Equals(object? obj) => Equals(obj as GroupMatcher);

    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => Text;

    private static string ValueOf(IReadOnlyList<KeyValuePair<string, string>> labels, string name)
    {
        for (int i = 0; i < labels.Count; i++)
        {
            if (labels[i].Key == name) return labels[i].Value;
        }

        return "";
    }
}

/// <param name="Regex">Null to compare with <paramref name="Value"/>.</param>
internal sealed record LabelMatcher(string Name, string Value, Regex? Regex, bool Negated)
{
    public bool Matches(string value) => (Regex?.IsMatch(value) ?? value == Value) != Negated;
}

/// <summary>Reads matchers in the syntax of PromQL, with names in quotes as in Prometheus 3.</summary>
internal sealed class MatcherReader(string text)
{
    /// <summary>A matcher is written by a person. The automaton of an expression grows with it.</summary>
    private const int MaxLength = 4096;

    private const string Example = "write matchers such as job=\"nightly\", instance=~\"a.*\"";

    private readonly ImmutableArray<LabelMatcher>.Builder _matchers = ImmutableArray.CreateBuilder<LabelMatcher>();
    private int _at;
    private string? _problem;

    public ImmutableArray<LabelMatcher> Matchers => _matchers.ToImmutable();

    public string? Read()
    {
        if (text.Length > MaxLength) return $"has more than {MaxLength} characters";
        SkipSpace();
        bool hasBrace = TryTake('{');
        bool expectsMatcher = true;
        for (SkipSpace(); _at < text.Length && text[_at] != '}'; SkipSpace())
        {
            if (!expectsMatcher) return At("expected ',' or the end");
            if (!TryReadMatcher()) return _problem;
            SkipSpace();
            expectsMatcher = TryTake(',');
        }

        if (hasBrace && !TryTake('}')) return At("the brace is not closed");
        SkipSpace();
        if (_at < text.Length) return At("expected the end");
        return _matchers.Count == 0 ? "selects every group; " + Example : null;
    }

    private bool TryReadMatcher()
    {
        string? name = ReadName();
        if (name is null) return false;
        SkipSpace();
        bool isRegex, isNegated;
        if (TryTake("=~")) (isRegex, isNegated) = (true, false);
        else if (TryTake("!~")) (isRegex, isNegated) = (true, true);
        else if (TryTake("!=")) (isRegex, isNegated) = (false, true);
        else if (TryTake("=")) (isRegex, isNegated) = (false, false);
        else return Fail($"expected =, !=, =~ or !~ after the name; {Example}");
        SkipSpace();
        int valueStart = _at;
        if (ReadString("the value") is not { } value) return false;
        if (!isRegex)
        {
            _matchers.Add(new LabelMatcher(name, value, null, isNegated));
            return true;
        }

        try
        {
            // As Prometheus: the whole value must match, and a dot matches a newline. Linear in the value, whatever the expression.
            var regex = new Regex($@"\A(?:{value})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | RegexOptions.Singleline);
            _ = regex.IsMatch("");
            _matchers.Add(new LabelMatcher(name, value, regex, isNegated));
            return true;
        }
        catch (ArgumentException e)
        {
            _at = valueStart;
            return Fail("is not a regular expression" + (e is RegexParseException bad ? ": " + Words(bad.Error) : ""));
        }
        catch (NotSupportedException)
        {
            _at = valueStart;
            return Fail("the expression needs backtracking (a lookaround, a back reference) or is too large; write a simpler one");
        }
    }

    /// <summary>The exception's own message repeats the expression.</summary>
    private static string Words(RegexParseError error) =>
        string.Concat(error.ToString().Select(static (c, i) => i > 0 && char.IsAsciiLetterUpper(c) ? " " + char.ToLowerInvariant(c) : char.ToLowerInvariant(c).ToString()));

    private string? ReadName()
    {
        if (_at < text.Length && text[_at] is '"' or '\'' or '`') return ReadString("the name");
        int start = _at;
        while (_at < text.Length && (char.IsAsciiLetterOrDigit(text[_at]) || text[_at] == '_')) _at++;
        if (_at > start && !char.IsAsciiDigit(text[start])) return text[start.._at];
        _at = start;
        Fail("expected a label name: letters, digits and '_', or any name in quotes");
        return null;
    }

    private string? ReadString(string what)
    {
        if (_at == text.Length || text[_at] is not ('"' or '\'' or '`'))
        {
            Fail($"{what} must be in quotes");
            return null;
        }

        int start = _at;
        char quote = text[_at++];
        var read = new StringBuilder();
        for (; _at < text.Length; _at++)
        {
            char c = text[_at];
            if (c == quote)
            {
                _at++;
                return read.ToString();
            }

            if (c != '\\' || quote == '`') read.Append(c);
            else if (!TryReadEscape(quote, read)) return null;
        }

        _at = start;
        Fail($"{what} has no closing quote");
        return null;
    }

    /// <summary>Those of Go, except for bytes in octal and hexadecimal.</summary>
    private bool TryReadEscape(char quote, StringBuilder read)
    {
        int start = _at;
        char c = ++_at < text.Length ? text[_at] : '\0';
        int index = "abfnrtv".IndexOf(c, StringComparison.Ordinal);
        if (index >= 0)
        {
            read.Append("\a\b\f\n\r\t\v"[index]);
            return true;
        }

        if (c == '\\' || c == quote)
        {
            read.Append(c);
            return true;
        }

        int digits = c == 'u' ? 4 : c == 'U' ? 8 : 0;
        if (digits > 0 && _at + digits < text.Length
            && int.TryParse(text.AsSpan(_at + 1, digits), NumberStyles.AllowHexSpecifier, null, out int codePoint)
            && Rune.TryCreate(codePoint, out Rune rune))
        {
            read.Append(rune.ToString());
            _at += digits;
            return true;
        }

        _at = start;
        return Fail("unknown escape; write two backslashes for one, or put the value in backticks");
    }

    private bool TryTake(char c)
    {
        if (_at == text.Length || text[_at] != c) return false;
        _at++;
        return true;
    }

    private bool TryTake(string token)
    {
        if (!text.AsSpan(_at).StartsWith(token)) return false;
        _at += token.Length;
        return true;
    }

    private void SkipSpace()
    {
        while (_at < text.Length && text[_at] is ' ' or '\t' or '\r' or '\n') _at++;
    }

    private bool Fail(string problem)
    {
        _problem = At(problem);
        return false;
    }

    /// <summary>The text itself is not repeated: with a slip of the hand it is a password.</summary>
    private string At(string problem) => string.Create(CultureInfo.InvariantCulture, $"{problem} (at character {_at + 1})");
}
