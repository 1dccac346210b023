using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Extensions.Logging;

namespace DynamicSharding.Server;

/// <summary>
/// Asks what a client would ask: which gateway owns a group. Once through the listener's own address, which only one loop picks up, and
/// once of every loop on a connection that it is handed. For the watchdog: it never runs on a loop's thread.
/// </summary>
internal sealed class SelfCheck(IPEndPoint listener, EventLoop[] loops, ConnectionLimit limit, ILogger connectionLogger)
{
    private static readonly byte[] Request =
        "GET /metrics/job/dynamic-sharding-watchdog HTTP/1.1\r\nHost: watchdog\r\nConnection: close\r\n\r\n"u8.ToArray();

    /// <returns>Null when the listener and every loop answered; else what did not.</returns>
    public async Task<string?> RunAsync(CancellationToken cancellation)
    {
        string asked = $"the data listener {listener}";
        try
        {
            using (Socket client = await ConnectAsync(cancellation).ConfigureAwait(false))
            {
                if (await AskAsync(client, cancellation).ConfigureAwait(false) is { } answer) return $"{asked} {answer}";
            }

            for (int i = 0; i < loops.Length; i++)
            {
                asked = $"event loop {i}";
                if (await CheckLoopAsync(loops[i], cancellation).ConfigureAwait(false) is { } answer) return $"{asked} {answer}";
            }

            return null;
        }
        catch (SocketException error)
        {
            return $"{asked} cannot be asked: {error.Message}";
        }
        catch (OperationCanceledException)
        {
            return $"{asked} does not answer";
        }
    }

    private async Task<Socket> ConnectAsync(CancellationToken cancellation)
    {
        if (listener.Address.Equals(IPAddress.Any)) return await ConnectAsync(IPAddress.Loopback, cancellation).ConfigureAwait(false);
        if (!listener.Address.Equals(IPAddress.IPv6Any)) return await ConnectAsync(listener.Address, cancellation).ConfigureAwait(false);
        try
        {
            return await ConnectAsync(IPAddress.IPv6Loopback, cancellation).ConfigureAwait(false);
        }
        catch (SocketException)
        {
            // A machine may have IPv6 and no ::1; the socket takes IPv4 too, unless who handed it over said otherwise.
            return await ConnectAsync(IPAddress.Loopback, cancellation).ConfigureAwait(false);
        }
    }

    private async Task<Socket> ConnectAsync(IPAddress address, CancellationToken cancellation)
    {
        var client = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await client.ConnectAsync(new IPEndPoint(address, listener.Port), cancellation).ConfigureAwait(false);
            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    private async Task<string?> CheckLoopAsync(EventLoop loop, CancellationToken cancellation)
    {
        Socket client = ConnectedSocket(out int served);
        using (client)
        {
            loop.Post(() => Serve(loop, served, cancellation.IsCancellationRequested));
            return await AskAsync(client, cancellation).ConfigureAwait(false);
        }
    }

    private static unsafe Socket ConnectedSocket(out int other)
    {
        int* pair = stackalloc int[2];
        if (LibC.SocketPair(LibC.AF_UNIX, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0, pair) < 0)
        {
            throw new SocketException(Marshal.GetLastPInvokeError());
        }

        other = pair[1];
        return new Socket(new SafeSocketHandle(pair[0], ownsHandle: true));
    }

    /// <summary>On the loop's thread: a connection like any other, only that nobody accepted it.</summary>
    private void Serve(EventLoop loop, int fd, bool tooLate)
    {
        if (tooLate)
        {
            _ = LibC.Close(fd);
            return;
        }

        // Beyond the limit on connections if need be: it is there for clients, and a loop that is full is not stuck.
        limit.Enter();
        loop.Context.Counters.CountAccept();
        var socket = new LoopSocket(loop, fd);
        loop.Add(socket);
        loop.Connections++;
        _ = new Connection(socket, limit, static connection => new HttpSession(connection.Loop.Context.Counters), connectionLogger).RunAsync();
    }

    /// <summary>503 is an answer, too: a restart would mend neither too many connections nor a lack of gateways.</summary>
    private static async Task<string?> AskAsync(Socket client, CancellationToken cancellation)
    {
        await client.SendAsync(Request, cancellation).ConfigureAwait(false);
        var reply = new byte[512];
        int length = 0;
        while (length < reply.Length)
        {
            int read = await client.ReceiveAsync(reply.AsMemory(length), cancellation).ConfigureAwait(false);
            if (read == 0) break;
            length += read;
        }

        ReadOnlySpan<byte> answer = reply.AsSpan(0, length);
        if (answer.StartsWith("HTTP/1.1 200 "u8) || answer.StartsWith("HTTP/1.1 503 "u8)) return null;
        int line = answer.IndexOf("\r\n"u8);
        return line < 0 ? "closed without an answer" : "answers " + Encoding.ASCII.GetString(answer[..line]);
    }
}
