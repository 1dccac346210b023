using System.Reflection;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Tests.Logging;

/// <summary>Event ids are a register: operators may filter by them, so no two events share one.</summary>
public sealed class LogEventIdTests
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
}
