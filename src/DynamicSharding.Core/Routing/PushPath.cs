namespace DynamicSharding.Routing;

/// <summary>The fixed parts of Pushgateway's push paths.</summary>
internal static class PushPath
{
    public static ReadOnlySpan<byte> Prefix => "/metrics/job/"u8;

    public static ReadOnlySpan<byte> Base64Prefix => "/metrics/job@base64/"u8;

    public static ReadOnlySpan<byte> Base64Suffix => "@base64"u8;
}
