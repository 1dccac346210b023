using System.Net;
using DynamicSharding.Consul;

namespace DynamicSharding.Discovery;

/// <summary>What is wrong between us and Consul, as far as an operator has to do something different about it.</summary>
internal enum ConsulFailure
{
    None,
    Unreachable,
    Refused,
    BadRequest,
    Forbidden,
    Empty,
    TooMuch,
}

internal static class ConsulFailures
{
    public const string HiddenAdvice =
        "the token probably lacks node:read for the node that it is registered on: its policy needs node_prefix \"\" { policy = \"read\" }";

    public static ConsulFailure Of(Exception failure) => failure switch
    {
        ConsulRequestException { StatusCode: HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized } => ConsulFailure.Forbidden,
        ConsulRequestException { StatusCode: HttpStatusCode.BadRequest } => ConsulFailure.BadRequest,
        ConsulRequestException => ConsulFailure.Refused,
        ResponseTooLargeException => ConsulFailure.TooMuch,
        _ => ConsulFailure.Unreachable,
    };

    /// <summary>What to do, in a sentence.</summary>
    public static string Advice(ConsulFailure trouble, string service) => trouble switch
    {
        ConsulFailure.Forbidden =>
            $"check consul_server.token: its policy needs service \"{service}\" {{ policy = \"write\" }} and node_prefix \"\" {{ policy = \"read\" }}",
        ConsulFailure.BadRequest => "the agent does not accept what the configuration asks for: see its answer",
        ConsulFailure.Empty =>
            $"nobody is registered as \"{service}\", its agent restarts, or the token hides it: it needs service \"{service}\" write and node_prefix \"\" read",
        ConsulFailure.Refused => "the agent answers with an error, as it does while there is no leader; asking again",
        ConsulFailure.TooMuch => $"deregister what should not be there as \"{service}\": nothing of such a response is taken",
        _ => "check consul_server.addr and the agent; asking again",
    };
}
