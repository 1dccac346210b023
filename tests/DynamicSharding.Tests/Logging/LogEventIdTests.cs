using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using DynamicSharding.Logging;
using DynamicSharding.Tests.Docs;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Tests.Logging;

/// <summary>Event ids are a register: operators may filter by them, so no two events share one.</summary>
public sealed partial class LogEventIdTests
{
    private static readonly (string Name, LoggerMessageAttribute Event)[] Events =
    [
        .. typeof(Log).GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
            .Select(method => (method.Name, method.GetCustomAttribute<LoggerMessageAttribute>()!))
            .Where(pair => pair.Item2 is not null),
    ];

    [Fact]
    public void Every_event_has_an_id_of_its_own()
    {
        Assert.NotEmpty(Events);
        Assert.Equal([], Events.GroupBy(e => e.Event.EventId).Where(group => group.Count() > 1).Select(group => string.Join(" = ", group.Select(e => e.Name))));
        Assert.All(Events, e => Assert.InRange(e.Event.EventId, 1000, 6999));
    }

    [Fact]
    public void A_message_is_a_fixed_sentence_beside_its_values() =>
        Assert.All(Events, e => Assert.DoesNotContain("{", e.Event.Message, StringComparison.Ordinal));

    /// <summary>So that the next free id is seen at the end of a file.</summary>
    [Fact]
    public void Events_stand_in_ascending_order_in_their_file()
    {
        int[][] files =
        [
            .. Repository.Files("src/DynamicSharding.Core/Logging").Where(static file => Path.GetFileName(file).StartsWith("Log.", StringComparison.Ordinal))
                .Select(static file => EventId().Matches(Repository.Read(file)).Select(static id => int.Parse(id.Groups[1].Value, CultureInfo.InvariantCulture)).ToArray()),
        ];
        Assert.Equal(Events.Select(static e => e.Event.EventId).Order(), files.SelectMany(static ids => ids).Order());
        Assert.All(files, static ids => Assert.Equal(ids.Order(), ids));
    }

    [GeneratedRegex(@"\[LoggerMessage\(\s*(?:EventId = )?([0-9]+)")]
    private static partial Regex EventId();
}
