using System.Globalization;
using System.Text;
using DynamicSharding.Http;

namespace DynamicSharding.Tests.Http;

/// <summary>The bytes of every kind of response, literally.</summary>
public sealed class ResponseWriterTests
{
    private const string Date = "Sun, 06 Nov 1994 08:49:37 GMT";

    private delegate void Writing(ref ResponseWriter writer);

    [Fact]
    public void A_redirect_without_a_connection_field() => AssertWritten(
        $"HTTP/1.1 307 Temporary Redirect\r\nDate: {Date}\r\nContent-Length: 0\r\nLocation: http://gw:9091/metrics/job/a?b\r\n\r\n",
        static (ref ResponseWriter w) => w.WriteRedirect(ResponseWriter.RedirectHead("http://gw:9091"), "/metrics/job/a"u8, "?b"u8, ConnectionOption.None));

    [Theory]
    [InlineData(ConnectionOption.Close, "Connection: close\r\n")]
    [InlineData(ConnectionOption.KeepAlive, "Connection: keep-alive\r\n")]
    internal void A_redirect_that_says_what_becomes_of_the_connection(ConnectionOption option, string field) => AssertWritten(
        $"HTTP/1.1 307 Temporary Redirect\r\nDate: {Date}\r\nContent-Length: 0\r\nLocation: http://gw:9091/p/metrics/job/a\r\n{field}\r\n",
        (ref ResponseWriter w) => w.WriteRedirect(ResponseWriter.RedirectHead("http://gw:9091/p"), "/metrics/job/a"u8, default, option));

    [Fact]
    public void Raw_bytes_of_a_query_are_percent_encoded() => AssertWritten(
        $"HTTP/1.1 307 Temporary Redirect\r\nDate: {Date}\r\nContent-Length: 0\r\nLocation: http://gw/a?%C3%BC=%FF&x\r\n\r\n",
        static (ref ResponseWriter w) =>
            w.WriteRedirect(ResponseWriter.RedirectHead("http://gw"), "/a"u8, [(byte)'?', 0xc3, 0xbc, (byte)'=', 0xff, (byte)'&', (byte)'x'], ConnectionOption.None));

    [Fact]
    public void A_text_is_counted_in_bytes_over_all_its_parts() => AssertWritten(
        $"HTTP/1.1 200 OK\r\nDate: {Date}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n\r\nab\u00C3\u00BCcd",
        static (ref ResponseWriter w) => w.WriteText("ab"u8, "ü"u8, "cd"u8, isHead: false, ConnectionOption.None));

    [Fact]
    public void HEAD_gets_the_head_of_GET() => AssertWritten(
        $"HTTP/1.1 200 OK\r\nDate: {Date}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n\r\n",
        static (ref ResponseWriter w) => w.WriteText("OK\n"u8, default, default, isHead: true, ConnectionOption.None));

    [Fact]
    public void A_405_names_the_methods() => AssertWritten(
        $"HTTP/1.1 405 Method Not Allowed\r\nDate: {Date}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 24\r\nAllow: GET, HEAD\r\n\r\nmethod not allowed here\n",
        static (ref ResponseWriter w) => w.WriteReject(RejectReason.MethodNotAllowed, "GET, HEAD"u8, isHead: false, ConnectionOption.None));

    [Fact]
    public void An_obstacle_is_a_503() => AssertWritten(
        $"HTTP/1.1 503 Service Unavailable\r\nDate: {Date}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 9\r\nConnection: close\r\n\r\nstopping\n",
        static (ref ResponseWriter w) => w.WriteUnavailable("stopping\n"u8, isHead: false, ConnectionOption.Close));

    [Fact]
    public void Responses_follow_each_other()
    {
        byte[] output = new byte[1024];
        ResponseWriter writer = new(output, Encoding.ASCII.GetBytes(Date));
        writer.WriteText("OK\n"u8, default, default, isHead: false, ConnectionOption.None);
        int first = writer.Written;
        writer.WriteText("OK\n"u8, default, default, isHead: false, ConnectionOption.None);
        Assert.Equal(output[..first], output[first..writer.Written]);
    }

    [Fact]
    public void Every_reason_has_a_reply_with_its_status_and_a_line_of_plain_ASCII()
    {
        foreach (RejectReason reason in Enum.GetValues<RejectReason>().Skip(1))
        {
            string text = Written((ref ResponseWriter w) => w.WriteReject(reason, default, isHead: false, ConnectionOption.Close));
            int body = text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
            Assert.StartsWith(string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 {RejectReasons.Status(reason)} "), text, StringComparison.Ordinal);
            Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"\r\nContent-Length: {text.Length - body}\r\n"), text, StringComparison.Ordinal);
            Assert.Matches("\\A[ -~]+\n\\z", text[body..]);
        }
    }

    [Fact]
    public void The_longest_response_fits_into_what_it_is_said_to_need()
    {
        byte[] target = [(byte)'?', .. Enumerable.Repeat((byte)0xff, 8191)];
        byte[] output = new byte[ResponseWriter.MaxLength(target.Length, 1024)];
        ResponseWriter writer = new(output, Encoding.ASCII.GetBytes(Date));
        writer.WriteRedirect(ResponseWriter.RedirectHead(new string('x', 1024)), default, target, ConnectionOption.KeepAlive);
        Assert.InRange(writer.Written, 3 * 8191, output.Length);
    }

    private static void AssertWritten(string expected, Writing write) => Assert.Equal(expected, Written(write));

    private static string Written(Writing write)
    {
        byte[] output = new byte[4096];
        ResponseWriter writer = new(output, Encoding.ASCII.GetBytes(Date));
        write(ref writer);
        return Encoding.Latin1.GetString(output, 0, writer.Written);
    }
}
