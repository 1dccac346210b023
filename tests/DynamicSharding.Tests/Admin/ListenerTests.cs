using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using DynamicSharding.Admin;
using DynamicSharding.Config;

namespace DynamicSharding.Tests.Admin;

public sealed class ListenerTests
{
    [Fact]
    public async Task A_taken_port_is_named()
    {
        using var other = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        other.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        other.Listen();
        int port = ((IPEndPoint)other.LocalEndPoint!).Port;
        var fixture = new AdminFixture { Options = new ServerOptions { AdminListenAddr = new ListenAddress(IPAddress.Loopback, port) } };
        await using var listener = new AdminListener(fixture.Context());
        IOException error = await Assert.ThrowsAsync<IOException>(listener.StartAsync);
        Assert.Equal($"admin listener: cannot listen on 127.0.0.1:{port} (admin_listen_addr): the address is already in use", error.Message);
    }

    [Fact]
    public async Task A_port_that_is_taken_for_every_address_is_named()
    {
        var fixture = new AdminFixture { Options = new ServerOptions { AdminListenAddr = new ListenAddress(null, 0) } };
        await fixture.StartAsync();
        int port = fixture.Listener.Port;
        var second = new AdminFixture { Options = new ServerOptions { AdminListenAddr = new ListenAddress(null, port) } };
        await using (var listener = new AdminListener(second.Context()))
        {
            IOException error = await Assert.ThrowsAsync<IOException>(listener.StartAsync);
            Assert.Equal($"admin listener: cannot listen on :{port} (admin_listen_addr): the address is already in use", error.Message);
        }

        await fixture.DisposeAsync();
    }

    [Fact]
    public async Task An_address_of_another_machine_is_named()
    {
        // TEST-NET-1, RFC 5737: no interface has it.
        var nowhere = new ListenAddress(IPAddress.Parse("192.0.2.1"), 0);
        var fixture = new AdminFixture { Options = new ServerOptions { AdminListenAddr = nowhere } };
        await using var listener = new AdminListener(fixture.Context());
        IOException error = await Assert.ThrowsAsync<IOException>(listener.StartAsync);
        Assert.StartsWith("admin listener: cannot listen on 192.0.2.1:0 (admin_listen_addr): ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_address_means_both_families_where_there_are_both()
    {
        await using AdminFixture admin = await new AdminFixture
        {
            Options = new ServerOptions { AdminListenAddr = new ListenAddress(null, 0) },
        }.StartAsync();
        Assert.Equal("OK\n", await admin.Client.GetStringAsync("/-/healthy"));
        if (Socket.OSSupportsIPv6) Assert.Equal("OK\n", await admin.Client.GetStringAsync($"http://[::1]:{admin.Listener.Port}/-/healthy"));
    }

    [Fact]
    public async Task A_stopped_listener_has_left_its_port()
    {
        AdminFixture admin = await new AdminFixture().StartAsync();
        int port = admin.Listener.Port;
        await admin.Client.GetStringAsync("/-/healthy");
        var watch = Stopwatch.StartNew();
        await admin.DisposeAsync();
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(10));
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        SocketException error = await Assert.ThrowsAsync<SocketException>(() => socket.ConnectAsync(IPAddress.Loopback, port));
        Assert.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);
    }

    [Fact]
    public void A_listener_that_is_off_cannot_be_made()
    {
        var fixture = new AdminFixture { Options = new ServerOptions { AdminListenAddr = null } };
        Assert.Throws<ArgumentException>(() => new AdminListener(fixture.Context()));
    }

    [Fact]
    public async Task A_large_head_is_refused()
    {
        await using AdminFixture admin = await new AdminFixture().StartAsync();
        using HttpResponseMessage response = await admin.Client.GetAsync("/api/v1/lookup?path=" + new string('a', 40_000));
        Assert.Equal(HttpStatusCode.RequestUriTooLong, response.StatusCode);
    }
}
