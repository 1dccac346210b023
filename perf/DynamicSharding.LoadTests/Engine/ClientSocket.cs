using System.Net;
using System.Runtime.InteropServices;
using DynamicSharding.Server;

namespace DynamicSharding.LoadTests.Engine;

/// <summary>Opens, drives and closes the clients' sockets. Results are values: bytes, 0 at the end, or a negative constant.</summary>
internal sealed unsafe class ClientSocket
{
    public const int Broken = -1;
    public const int WouldBlock = -2;

    private readonly int _family;
    private readonly byte[] _address;
    private readonly int _epoll;

    public ClientSocket(IPEndPoint target, int epoll)
    {
        SocketAddress address = target.Serialize();
        _address = address.Buffer[..address.Size].ToArray();
        // struct sockaddr begins with the kernel's own number of the family.
        _family = BitConverter.ToUInt16(_address);
        _epoll = epoll;
    }

    public bool TryConnect(ClientConnection client)
    {
        int fd = Kernel.Socket(_family, Kernel.SOCK_STREAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0);
        if (fd < 0) return false;
        client.Fd = fd;
        client.Filled = 0;
        client.SendFailed = false;
        int one = 1;
        _ = Kernel.SetSocketOption(fd, Kernel.IPPROTO_TCP, Kernel.TCP_NODELAY, &one, sizeof(int));
        fixed (byte* address = _address)
        {
            if (Kernel.Connect(fd, address, (uint)_address.Length) < 0 && Marshal.GetLastPInvokeError() != Kernel.EINPROGRESS) return false;
        }

        byte* epollEvent = stackalloc byte[16];
        EpollEvents.Write(epollEvent, LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLET, client.Slot);
        return LibC.EpollControl(_epoll, LibC.EPOLL_CTL_ADD, fd, epollEvent) == 0;
    }

    public int Send(ClientConnection client, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            return Result(LibC.Send(client.Fd, start, (nuint)bytes.Length, LibC.MSG_NOSIGNAL));
        }
    }

    public int Receive(ClientConnection client, int room)
    {
        fixed (byte* start = &client.Buffer[client.Filled])
        {
            return Result(LibC.Receive(client.Fd, start, (nuint)room, LibC.MSG_DONTWAIT));
        }
    }

    public void Close(ClientConnection client)
    {
        if (client.Fd >= 0) _ = LibC.Close(client.Fd);
        client.Fd = -1;
    }

    private static int Result(nint result)
    {
        if (result >= 0) return (int)result;
        return Marshal.GetLastPInvokeError() == LibC.EAGAIN ? WouldBlock : Broken;
    }
}
