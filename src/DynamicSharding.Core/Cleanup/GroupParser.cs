using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;

namespace DynamicSharding.Cleanup;

/// <summary>
/// Reads Pushgateway's <c>{"status":"success","data":[{group},…]}</c> token by token. A group's object holds its metric families under their
/// own names, next to <c>labels</c> and <c>last_push_successful</c>: a family of one of these names replaces the group's own field. A family is told
/// by its list <c>metrics</c>, since labels have no value but strings.
/// </summary>
internal sealed class GroupParser
{
    private const string PushTimeName = "push_time_seconds";
    private const string FailureTimeName = "push_failure_time_seconds";

    /// <summary>Names and types repeat in every group. Beyond this, somebody has made them unique.</summary>
    private const int MaxInterned = 10_000;

    // Depths of the tokens, as the reader counts them.
    // What clients push is far below; what is kept of a group must be bounded, whatever a gateway sends.
    private const int MaxFamilies = 100_000, MaxLabelBytes = 1 << 20;

    private const int RootFields = 1, GroupStart = 2, GroupFields = 3, FamilyFields = 4, MetricFields = 6, SeriesLabels = 7;

    private readonly Dictionary<string, string> _interned = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string>.AlternateLookup<ReadOnlySpan<char>> _internedSpans;
    private readonly Dictionary<string, string> _labels = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _seriesLabels = new(StringComparer.Ordinal);
    private readonly List<MetricFamily> _families = [];
    private readonly char[] _scratch = new char[256];
    private ImmutableArray<MetricFamily> _lastFamilies = [];
    private string _rootField = "", _field = "", _part = "", _metricPart = "", _seriesLabel = "", _type = "";
    private long _labelBytes;
    private bool _inData, _isFamily, _hasPush, _hasFailure, _firstMetric, _labelsAreFamily;
    private bool? _successful;
    private double _value, _pushTime, _failureTime;

    public GroupParser() => _internedSpans = _interned.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>The value of <c>status</c>.</summary>
    public string? Status { get; private set; }

    /// <summary>The list of groups was there and has ended.</summary>
    public bool HasData { get; private set; }

    /// <summary>The whole document has ended.</summary>
    public bool IsDone { get; private set; }

    /// <summary>The value of <c>error</c> in a response that is not a success.</summary>
    public string? Error { get; private set; }

    /// <param name="reader">At a token.</param>
    /// <returns>The group that ends with the token, or null.</returns>
    public PushgatewayGroup? Take(ref Utf8JsonReader reader)
    {
        int depth = reader.CurrentDepth;
        JsonTokenType token = reader.TokenType;
        if (_inData && depth >= GroupStart) return TakeGroupToken(ref reader, depth, token);
        if (depth == 0)
        {
            if (token == JsonTokenType.EndObject) IsDone = true;
            else if (token != JsonTokenType.StartObject) throw new JsonException("expected an object");
        }
        else if (depth == RootFields && token == JsonTokenType.PropertyName)
        {
            _rootField = reader.GetString()!;
        }
        else if (depth == RootFields && token == JsonTokenType.StartArray && _rootField == "data")
        {
            _inData = true;
        }
        else if (depth == RootFields && token == JsonTokenType.EndArray && _inData)
        {
            _inData = false;
            HasData = true;
        }
        else if (depth == RootFields && token == JsonTokenType.String)
        {
            if (_rootField == "status") Status = reader.GetString();
            if (_rootField == "error") Error = reader.GetString();
        }

        return null;
    }

    private PushgatewayGroup? TakeGroupToken(ref Utf8JsonReader reader, int depth, JsonTokenType token)
    {
        switch (depth)
        {
            case GroupStart when token == JsonTokenType.StartObject:
                StartGroup();
                break;
            case GroupStart when token == JsonTokenType.EndObject:
                return EndGroup();
            case GroupStart:
                throw new JsonException("expected a group");
            case GroupFields when token == JsonTokenType.PropertyName:
                _field = Intern(ref reader);
                break;
            case GroupFields when token == JsonTokenType.StartObject:
                (_isFamily, _firstMetric, _type, _value) = (false, true, "", double.NaN);
                break;
            case GroupFields when token == JsonTokenType.EndObject:
                EndField();
                break;
            case GroupFields when token is JsonTokenType.True or JsonTokenType.False && _field == "last_push_successful":
                _successful = token == JsonTokenType.True;
                break;
            case FamilyFields when token == JsonTokenType.PropertyName:
                _part = Intern(ref reader);
                break;
            case FamilyFields when token == JsonTokenType.String && _field == "labels":
                if ((_labelBytes += reader.HasValueSequence ? reader.ValueSequence.Length : reader.ValueSpan.Length) > MaxLabelBytes) throw new JsonException($"a group has more than {MaxLabelBytes} bytes of labels");
                _labels[_part] = reader.GetString()!;
                if (_part == "type") _type = Intern(ref reader);
                break;
            case FamilyFields when token == JsonTokenType.String && _part == "type":
                _type = Intern(ref reader);
                break;
            case FamilyFields when token is JsonTokenType.StartArray or JsonTokenType.Null && _part == "metrics":
                _isFamily = true;
                break;
            case >= MetricFields when _firstMetric && _field is PushTimeName or FailureTimeName:
                TakeMetricToken(ref reader, depth, token);
                break;
            case MetricFields - 1 when token == JsonTokenType.EndObject:
                _firstMetric = false;
                break;
        }

        return null;
    }

    /// <summary>Of the first metric of the gateway's own families.</summary>
    private void TakeMetricToken(ref Utf8JsonReader reader, int depth, JsonTokenType token)
    {
        if (depth == MetricFields && token == JsonTokenType.PropertyName)
        {
            _metricPart = Intern(ref reader);
        }
        else if (depth == MetricFields && token == JsonTokenType.String && _metricPart == "value")
        {
            _value = double.TryParse(reader.GetString(), NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? value : double.NaN;
        }
        else if (_metricPart == "labels" && _field == PushTimeName)
        {
            if (token == JsonTokenType.PropertyName) _seriesLabel = Intern(ref reader);
            else if (token == JsonTokenType.String && depth == SeriesLabels) _seriesLabels[_seriesLabel] = reader.GetString()!;
        }
    }

    private void StartGroup()
    {
        _labels.Clear();
        _seriesLabels.Clear();
        _families.Clear();
        _labelBytes = 0;
        _successful = null;
        _labelsAreFamily = _hasPush = _hasFailure = false;
        _pushTime = _failureTime = 0;
    }

    private void EndField()
    {
        if (!_isFamily) return;
        if (_field == PushTimeName) (_hasPush, _pushTime) = (true, _value);
        else if (_field == FailureTimeName) (_hasFailure, _failureTime) = (true, _value);
        else _families.Add(new MetricFamily(_field, _type));
        if (_families.Count > MaxFamilies) throw new JsonException($"a group has more than {MaxFamilies} metric families");
        _labelsAreFamily |= _field == "labels";
    }

    private PushgatewayGroup EndGroup()
    {
        // The series of push_time_seconds has the grouping labels, and an empty instance also where the group has none.
        Dictionary<string, string> labels = _labelsAreFamily ? _seriesLabels : _labels;
        bool isExact = !_labelsAreFamily || (labels.TryGetValue("instance", out string? instance) && instance.Length > 0);
        if (labels.GetValueOrDefault("job", "").Length == 0 && isExact) throw new JsonException("a group has no job label");
        return new PushgatewayGroup
        {
            Labels = GroupPath.Sort(labels),
            HasExactLabels = isExact,
            PushTime = _hasPush ? _pushTime : double.NaN,
            PushFailureTime = _failureTime,

            // As Pushgateway computes it, where a metric hides its word.
            LastPushSuccessful = _successful ?? (!_hasFailure || _failureTime <= _pushTime),
            Families = TakeFamilies(),
        };
    }

    private ImmutableArray<MetricFamily> TakeFamilies()
    {
        _families.Sort(static (a, b) => string.CompareOrdinal(a.Name, b.Name));
        if (!_lastFamilies.AsSpan().SequenceEqual(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_families))) _lastFamilies = [.. _families];
        return _lastFamilies;
    }

    private string Intern(ref Utf8JsonReader reader)
    {
        int bytes = reader.HasValueSequence ? int.MaxValue : reader.ValueSpan.Length;
        if (bytes > _scratch.Length) return reader.GetString()!;
        int length = reader.CopyString(_scratch);
        ReadOnlySpan<char> text = _scratch.AsSpan(0, length);
        if (_internedSpans.TryGetValue(text, out string? known)) return known;
        string added = text.ToString();
        if (_interned.Count < MaxInterned) _interned.Add(added, added);
        return added;
    }
}
