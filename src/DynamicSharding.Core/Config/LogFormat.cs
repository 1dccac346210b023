namespace DynamicSharding.Config;

internal enum LogFormat
{
    Logfmt,
    Json,
}
