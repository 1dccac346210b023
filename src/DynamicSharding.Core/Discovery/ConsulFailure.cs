using System.Net;
using System.Text.Json;
using DynamicSharding.Consul;

namespace DynamicSharding.Discovery;

/// <summary>A kind of failure between this process and Consul: one for each thing that an operator can do about it.</summary>
/// <param name="Name">As the log line shows it.</param>
/// <param name="Template">What to do, with &lt;service&gt; in place of its name.</param>
internal sealed record ConsulFailure(string Name, string Template)
{
    public const string HiddenAdvice =
        "the token probably lacks node:read for the node that the gateway is registered on: its policy needs node_prefix \"\" { policy = \"read\" }; "
        + "otherwise find out what deregisters the gateway, or registers its id for another service";

    public static readonly ConsulFailure Unreachable = new("unreachable", "check consul_server.addr and the agent; retrying");

    public static readonly ConsulFailure Malformed = new(
        "malformed", "the response is not one of Consul's API: check consul_server.addr, and any proxy between; retrying");

    public static readonly ConsulFailure Refused = new("refused", "the agent returns an error, as it does while the cluster has no leader; retrying");

    public static readonly ConsulFailure BadRequest = new("badrequest", "the agent rejects a setting of consul_server: see err");

    public static readonly ConsulFailure Forbidden = new(
        "forbidden", "check consul_server.token: its policy needs service \"<service>\" { policy = \"write\" } and node_prefix \"\" { policy = \"read\" }");

    public static readonly ConsulFailure Empty = new(
        "empty",
        "no instance of \"<service>\" is registered, its agent is restarting, or the token hides it: the token needs service \"<service>\" write and node_prefix \"\" read");

    public static readonly ConsulFailure TooLarge = new("toomuch", "deregister what does not belong to \"<service>\": the whole response is ignored");

    public static ConsulFailure Of(Exception exception) => exception switch
    {
        ConsulRequestException { StatusCode: HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized } => Forbidden,
        ConsulRequestException { StatusCode: HttpStatusCode.BadRequest } => BadRequest,
        ConsulRequestException => Refused,
        ResponseTooLargeException => TooLarge,
        JsonException => Malformed,
        _ => Unreachable,
    };

    public string Advice(string service) => Template.Replace("<service>", service, StringComparison.Ordinal);
}
