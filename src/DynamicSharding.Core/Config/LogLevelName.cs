namespace DynamicSharding.Config;

internal enum LogLevelName
{
    Debug,
    Info,
    Warn,
    Error,
}
