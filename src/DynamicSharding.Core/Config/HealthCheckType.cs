namespace DynamicSharding.Config;

internal enum HealthCheckType
{
    Http,
    Tcp,
}
