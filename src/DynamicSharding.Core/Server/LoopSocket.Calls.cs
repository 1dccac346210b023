using System.Runtime.InteropServices;

namespace DynamicSharding.Server;

/// <summary>Calls of the kernel, below TLS.</summary>
internal sealed unsafe partial class LoopSocket
{
    public SocketResult TryReceiveRaw(Span<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            return Result(LibC.Receive(Fd, pointer, (nuint)buffer.Length, LibC.MSG_DONTWAIT));
        }
    }

    /// <summary>What has arrived, which stays there.</summary>
    public SocketResult TryPeek(Span<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            return Result(LibC.Receive(Fd, pointer, (nuint)buffer.Length, LibC.MSG_DONTWAIT | LibC.MSG_PEEK));
        }
    }

    public SocketResult TrySendRaw(ReadOnlySpan<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            return Result(LibC.Send(Fd, pointer, (nuint)buffer.Length, LibC.MSG_DONTWAIT | LibC.MSG_NOSIGNAL));
        }
    }

    /// <summary>Accepts one connection; the count is its descriptor.</summary>
    public SocketResult TryAccept() => Result(LibC.Accept(Fd, null, null, LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC));

    /// <summary>Makes the close a reset, so that the kernel does not keep unsent responses for a client that does not read them.</summary>
    public void ResetOnClose()
    {
        // struct linger: on, for 0 seconds.
        _resets = true;
        ulong linger = 0;
        *(int*)&linger = 1;
        _ = LibC.SetSocketOption(Fd, LibC.SOL_SOCKET, LibC.SO_LINGER, &linger, sizeof(ulong));
    }

    public void ShutdownSendRaw() => LibC.Shutdown(Fd, LibC.SHUT_WR);

    /// <summary>Starts to connect a new socket.</summary>
    /// <param name="address">A <c>struct sockaddr</c>.</param>
    /// <param name="pending">The connection is not established yet.</param>
    /// <returns>0, or the errno.</returns>
    public static int Connect(ReadOnlySpan<byte> address, out int fd, out bool pending)
    {
        pending = false;
        int family = System.Runtime.CompilerServices.Unsafe.ReadUnaligned<ushort>(ref MemoryMarshal.GetReference(address));
        fd = LibC.Socket(family, LibC.SOCK_STREAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0);
        if (fd < 0) return Marshal.GetLastPInvokeError();
        int on = 1;
        _ = LibC.SetSocketOption(fd, LibC.IPPROTO_TCP, LibC.TCP_NODELAY, &on, sizeof(int));
        fixed (byte* pointer = address)
        {
            if (LibC.Connect(fd, pointer, (uint)address.Length) == 0) return 0;
        }

        int error = Marshal.GetLastPInvokeError();
        pending = error is LibC.EINPROGRESS or LibC.EINTR;
        if (pending) return 0;
        _ = LibC.Close(fd);
        return error;
    }

    /// <returns>The errno of a connect that was pending; 0 once the connection is established.</returns>
    public int PendingError()
    {
        int error = 0;
        uint length = sizeof(int);
        return LibC.GetSocketOption(Fd, LibC.SOL_SOCKET, LibC.SO_ERROR, &error, &length) < 0 ? Marshal.GetLastPInvokeError() : error;
    }

    private static SocketResult Result(nint returned) =>
        returned >= 0 ? new((int)returned, 0) : new(0, Marshal.GetLastPInvokeError());
}

/// <summary>The result of a socket operation: a count or an errno.</summary>
internal readonly record struct SocketResult(int Count, int Error)
{
    public bool WouldBlock => Error == LibC.EAGAIN;

    public bool Failed => Error != 0 && Error != LibC.EAGAIN;
}
