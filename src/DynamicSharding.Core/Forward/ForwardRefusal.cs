using System.Text.Unicode;
using DynamicSharding.Config;
using DynamicSharding.Config.Values;
using DynamicSharding.Http;

namespace DynamicSharding.Forward;

/// <summary>The response to a push that is not forwarded although it has an owner.</summary>
internal static class ForwardRefusal
{
    public static void Write(ForwardRejectReason reason, string gateway, ForwardOptions options, ConnectionOption option, ref ResponseWriter writer)
    {
        Span<byte> text = stackalloc byte[768];
        int length;
        _ = reason switch
        {
            ForwardRejectReason.BodyTooLarge => Utf8.TryWrite(
                text, $"content too long: at most {options.MaxBodyBytes} bytes (forward.max_body_bytes)\n", out length),
            ForwardRejectReason.TooManyInFlight => Utf8.TryWrite(
                text, $"pushgateway {gateway} has {options.MaxInFlight} pushes in flight, try again later (forward.max_in_flight)\n", out length),
            ForwardRejectReason.BodyTimeout => Utf8.TryWrite(
                text,
                $"content too slow (limits.body_min_rate), or stalled for {DurationText.Format(options.Timeout)} (forward.timeout)\n",
                out length),
            ForwardRejectReason.Loop => Utf8.TryWrite(
                text, $"loop detected: the push was here before, so pushgateway {gateway} is not a gateway, or leads back here\n", out length),
            _ => Utf8.TryWrite(text, $"the content ended early, or is malformed\n", out length),
        };
        ReadOnlySpan<byte> retry = reason == ForwardRejectReason.TooManyInFlight ? "Retry-After: 1\r\n"u8 : default;
        writer.WriteStatus(StatusLine(reason), retry, text[..length], option);
    }

    private static ReadOnlySpan<byte> StatusLine(ForwardRejectReason reason) => reason switch
    {
        ForwardRejectReason.BodyTooLarge => "HTTP/1.1 413 Content Too Large"u8,
        ForwardRejectReason.TooManyInFlight => "HTTP/1.1 503 Service Unavailable"u8,
        ForwardRejectReason.BodyTimeout => "HTTP/1.1 408 Request Timeout"u8,
        ForwardRejectReason.Loop => "HTTP/1.1 508 Loop Detected"u8,
        _ => "HTTP/1.1 400 Bad Request"u8,
    };
}
