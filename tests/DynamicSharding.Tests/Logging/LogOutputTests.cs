using System.Text;
using System.Text.Json;
using DynamicSharding.Config;
using DynamicSharding.Logging;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace DynamicSharding.Tests.Logging;

public sealed partial class LogOutputTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 2, 15, 4, 5, TimeSpan.Zero));

    [Fact]
    public void Logfmt_quotes_only_what_needs_it() => Assert.Equal(
        "ts=2026-01-02T15:04:05.000Z level=info msg=\"ring changed\" moved_ratio=0.25 members=3 hold=1m30s held=true reason=\"two left\" old=a,b none=null empty=\"\"\n",
        Written(LogFormat.Logfmt, logger => RingChanged(logger, 0.25, 3, TimeSpan.FromSeconds(90), true, "two left", ["a", "b"], null, "")));

    [Fact]
    public void JSON_has_the_same_keys_and_keeps_types() => Assert.Equal(
        "{\"ts\":\"2026-01-02T15:04:05.000Z\",\"level\":\"info\",\"msg\":\"ring changed\",\"moved_ratio\":0.25,\"members\":3,\"hold\":\"1m30s\",\"held\":true,"
            + "\"reason\":\"two left\",\"old\":\"a,b\",\"none\":null,\"empty\":\"\"}\n",
        Written(LogFormat.Json, logger => RingChanged(logger, 0.25, 3, TimeSpan.FromSeconds(90), true, "two left", ["a", "b"], null, "")));

    [Theory]
    [InlineData("a\nlevel=error", "\"a\\nlevel=error\"")]
    [InlineData("a\r\t\"\\", "\"a\\r\\t\\\"\\\\\"")]
    [InlineData("\u001b[31m\u007f\u009b", "\"\\u001b[31m\\u007f\\u009b\"")]
    [InlineData("a\u2028b\u202ec", "\"a\\u2028b\\u202ec\"")]
    [InlineData("é 中 😀", "\"é 中 😀\"")]
    [InlineData("a=b", "\"a=b\"")]
    [InlineData("plain/1.2:3", "plain/1.2:3")]
    public void A_value_cannot_forge_a_line_or_drive_a_terminal(string value, string expected)
    {
        string line = Written(LogFormat.Logfmt, logger => Said(logger, value));
        Assert.EndsWith(" text=" + expected + "\n", line, StringComparison.Ordinal);

        string json = Written(LogFormat.Json, logger => Said(logger, value));
        Assert.Equal(1, json.Count(c => c is '\n' or '\r' or '\u2028' or '\u001b' or '\u009b' or '\u202e'));
        Assert.Equal(value, JsonDocument.Parse(json).RootElement.GetProperty("text").GetString());
    }

    [Fact]
    public void Half_a_character_is_shown_as_what_it_is()
    {
        Assert.EndsWith(" text=\"a\\ud800b\"\n", Written(LogFormat.Logfmt, logger => Said(logger, "a\ud800b")), StringComparison.Ordinal);
        Assert.Contains("\"text\":\"a\\uFFFDb\"", Written(LogFormat.Json, logger => Said(logger, "a\ud800b")), StringComparison.Ordinal);
    }

    [Fact]
    public void A_very_long_value_is_cut() =>
        Assert.InRange(Written(LogFormat.Logfmt, logger => Said(logger, new string('x', 100_000))).Length, 4096, 4300);

    [Fact]
    public void Values_cannot_pass_for_the_lines_own_keys() => Assert.Equal(
        "ts=2026-01-02T15:04:05.000Z level=warn msg=clash logged_level=high logged_msg=other\n",
        Written(LogFormat.Logfmt, logger => Clash(logger, "high", "other")));

    [Fact]
    public void An_exception_is_one_sentence()
    {
        var exception = new InvalidOperationException("outer", new IOException("inner\nline"));
        Assert.Equal(
            "ts=2026-01-02T15:04:05.000Z level=error msg=failed err=\"InvalidOperationException: outer: inner\\nline\"\n",
            Written(LogFormat.Logfmt, logger => Failed(logger, exception)));
    }

    [Fact]
    public void A_librarys_message_keeps_its_own_words_and_its_info_is_for_debugging()
    {
        void Act(ILogger logger)
        {
#pragma warning disable CA1848, CA1873, CA2254 // Written as a library would.
            logger.LogInformation("Now listening on: {Address}", "x");
            logger.LogWarning("Overriding address(es) '{Addresses}'", "y");
#pragma warning restore CA1848, CA1873, CA2254
        }

        Assert.Equal(
            "ts=2026-01-02T15:04:05.000Z level=warn msg=\"Overriding address(es) 'y'\" component=Microsoft.AspNetCore\n",
            Written(LogFormat.Logfmt, Act, category: "Microsoft.AspNetCore"));
        Assert.Contains("Now listening on: x", Written(LogFormat.Logfmt, Act, LogLevelName.Debug, "Microsoft.AspNetCore"), StringComparison.Ordinal);
    }

    [Fact]
    public void The_level_changes_while_running()
    {
        using var stream = new MemoryStream();
        using (var output = new LogOutput(stream, LogFormat.Logfmt, LogLevelName.Error, _time))
        {
            ILogger logger = output.CreateLogger("x");
            Said(logger, "before");
            output.SetLevel(LogLevelName.Debug);
            Said(logger, "after");
            Assert.True(logger.IsEnabled(LogLevel.Debug));
        }

        Assert.Equal("ts=2026-01-02T15:04:05.000Z level=info msg=said text=after\n", Encoding.UTF8.GetString(stream.ToArray()));
    }

    [Fact]
    public async Task Lines_of_many_threads_are_whole()
    {
        using var stream = new MemoryStream();
        using (var output = new LogOutput(stream, LogFormat.Logfmt, LogLevelName.Info, _time))
        {
            ILogger logger = output.CreateLogger("x");
            await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(() =>
            {
                for (int i = 0; i < 200; i++) Said(logger, $"{worker}.{i}");
            })));
        }

        string[] lines = Encoding.UTF8.GetString(stream.ToArray()).TrimEnd('\n').Split('\n');
        Assert.Equal(1600, lines.Distinct().Count());
        Assert.All(lines, line => Assert.Matches("^ts=2026-01-02T15:04:05.000Z level=info msg=said text=[0-7][.][0-9]+$", line));
    }

    [Fact]
    public void A_stalled_stream_costs_lines_and_says_how_many_but_blocks_nobody()
    {
        using var stream = new StallingStream();
        using var output = new LogOutput(stream, LogFormat.Logfmt, LogLevelName.Info, _time);
        ILogger logger = output.CreateLogger("x");
        Said(logger, "first");
        Assert.True(stream.Stalled.Wait(TimeSpan.FromSeconds(30)));

        // Would never end if a full queue made its callers wait.
        for (int i = 0; i < 10_000; i++) Said(logger, "more");
        stream.Resume.Set();

        Assert.True(SpinWait.SpinUntil(() => stream.Text.Contains("dropped", StringComparison.Ordinal), TimeSpan.FromSeconds(30)));
        Assert.True(SpinWait.SpinUntil(() => stream.Text.Count(c => c == '\n') == 4098, TimeSpan.FromSeconds(30)));
        Assert.Contains("level=warn msg=\"log lines dropped because the output stalled\" count=5904\n", stream.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_broken_stream_a_closed_output_and_a_value_that_throws_are_survived()
    {
        var broken = new MemoryStream();
        broken.Dispose();
        var output = new LogOutput(broken, LogFormat.Logfmt, LogLevelName.Info, _time);
        ILogger logger = output.CreateLogger("x");
        Said(logger, "into the void");
        output.Dispose();
        Said(logger, "too late");

        Assert.EndsWith(" value=!NotSupportedException\n", Written(LogFormat.Logfmt, l => Thrown(l, new Unprintable())), StringComparison.Ordinal);
    }

    private string Written(LogFormat format, Action<ILogger> act, LogLevelName level = LogLevelName.Info, string category = "DynamicSharding")
    {
        using var stream = new MemoryStream();
        using (var output = new LogOutput(stream, format, level, _time)) act(output.CreateLogger(category));
        return Encoding.UTF8.GetString(stream.ToArray());
    }

#pragma warning disable SYSLIB1015
    [LoggerMessage(1, LogLevel.Information, "ring changed")]
    private static partial void RingChanged(
        ILogger logger, double movedRatio, int members, TimeSpan hold, bool held, string reason, string[] old, string? none, string empty);

    [LoggerMessage(2, LogLevel.Information, "said")]
    private static partial void Said(ILogger logger, string text);

    [LoggerMessage(3, LogLevel.Warning, "clash")]
    private static partial void Clash(ILogger logger, string level, string msg);

    [LoggerMessage(4, LogLevel.Error, "failed")]
    private static partial void Failed(ILogger logger, Exception exception);

    [LoggerMessage(5, LogLevel.Information, "thrown")]
    private static partial void Thrown(ILogger logger, object value);
#pragma warning restore SYSLIB1015

    private sealed class Unprintable
    {
        public override string ToString() => throw new NotSupportedException();
    }

    /// <summary>Its first write does not return until it may.</summary>
    private sealed class StallingStream : MemoryStream
    {
        private readonly Lock _lock = new();
        private string _text = "";

        public ManualResetEventSlim Stalled { get; } = new();

        public ManualResetEventSlim Resume { get; } = new();

        public string Text
        {
            get
            {
                lock (_lock) return _text;
            }
        }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            Stalled.Set();
            Resume.Wait();
            lock (_lock) _text += Encoding.UTF8.GetString(buffer);
        }
    }
}
