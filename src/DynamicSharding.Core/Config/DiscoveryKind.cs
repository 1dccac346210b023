namespace DynamicSharding.Config;

internal enum DiscoveryKind
{
    Static,
    Consul,
}
