using DynamicSharding.FunctionalTests.Forward;
using DynamicSharding.FunctionalTests.Peers;
using DynamicSharding.FunctionalTests.Wire;
using Xunit.Abstractions;
using static DynamicSharding.FunctionalTests.Users.UsersServer;

namespace DynamicSharding.FunctionalTests.Users;

/// <summary>Whose Authorization a gateway sees.</summary>
public sealed class ForwardedCredentialsTests(ITestOutputHelper output) : PeerTest(output), IDisposable
{
    private const string Edges = "Basic dTpwdw==";
    private const string Others = "Authorization: Bearer t0ken\r\n";

    private readonly TemporaryFolder _folder = new();

    private static string Users { get; } = UsersOf(("alice", Hash(Password, 4)));

    private static string Right { get; } = Basic("alice", Password);

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(Forwarding)]
    [InlineData(ForwardTls)]
    public async Task A_user_s_credentials_end_at_the_edge(string listener)
    {
        await using var gateway = new RecordingGateway();
        UsersServer server = await UsersServer.StartAsync(TestPeers, _folder, gateway.Address, Users);
        Assert.StartsWith("HTTP/1.1 200 ", await server.PushAsync(listener, "X-Before: 1\r\n" + Right + "X-After: 2\r\n"), StringComparison.Ordinal);
        RecordedRequest request = Assert.Single(gateway.TakeAll());
        Assert.DoesNotContain("uthorization", request.Head, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(("1", "2"), (request.Field("X-Before"), request.Field("X-After")));

        // Chunked, and streamed.
        foreach (int length in (int[])[10, 200_000])
        {
            string push = $"PUT /metrics/job/a HTTP/1.1\r\nHost: edge.test\r\n{Right}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{length:x}\r\n{new string('v', length)}\r\n0\r\n\r\n";
            Assert.StartsWith("HTTP/1.1 200 ", await server.ExchangeAsync(listener, push), StringComparison.Ordinal);
            Assert.Null(Assert.Single(gateway.TakeAll()).Field("Authorization"));
        }
    }

    [Fact]
    public async Task The_edge_s_own_credentials_go_to_the_gateway_with_and_without_users()
    {
        await using var gateway = new RecordingGateway();
        string own = $"  basic_auth: {{ username: u, password_file: {_folder.Write("password", "pw\n")} }}";
        UsersServer server = await UsersServer.StartAsync(TestPeers, _folder, gateway.Address, Users, own);
        await server.PushAsync(Forwarding, Right);
        Assert.Equal(Edges, Assert.Single(gateway.TakeAll()).Field("Authorization"));

        await server.ReloadAsync("");
        await Eventually.TrueAsync(
            async () => (await server.PushAsync(Forwarding)).StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal), TimeSpan.FromSeconds(10), () => "still asks for users");
        await server.PushAsync(Forwarding, Others);
        Assert.All(gateway.TakeAll(), request => Assert.Equal(Edges, request.Field("Authorization")));
    }

    [Fact]
    public async Task A_reload_that_sets_users_never_lets_their_credentials_through()
    {
        await using var gateway = new RecordingGateway();
        UsersServer server = await UsersServer.StartAsync(TestPeers, _folder, gateway.Address, "");
        await server.PushAsync(Forwarding, Others);
        Assert.Equal("Bearer t0ken", Assert.Single(gateway.TakeAll()).Field("Authorization"));

        // A push is one or the other: taken with the client's credentials while there are no users, or without once there are.
        for (int round = 0; round < 10; round++)
        {
            using RawHttp connection = await RawHttp.ConnectAsync(server[Forwarding]);
            Task reload = server.ReloadAsync(Users);
            while (!reload.IsCompleted || !await IsRefusedAsync(connection)) await PushAsync(connection, Right);
            await reload;
            gateway.TakeAll();
            for (int i = 0; i < 10; i++) Assert.Equal(200, await PushAsync(connection, Right));
            Assert.All(gateway.TakeAll(), request => Assert.Null(request.Field("Authorization")));
            await server.ReloadAsync("");
        }
    }

    private static async Task<bool> IsRefusedAsync(RawHttp connection) => await PushAsync(connection, "") == 401;

    private static async Task<int> PushAsync(RawHttp connection, string fields)
    {
        await connection.SendAsync(Put(fields));
        return ForwardServer.StatusOf(await connection.ReadReplyAsync(limit: TimeSpan.FromSeconds(30)));
    }
}
