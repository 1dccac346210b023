using System.Runtime.InteropServices;

namespace DynamicSharding.Server;

/// <summary>
/// Lets a listening socket leave its SO_REUSEPORT group without losing a connection. With the SYN, Linux assigns a connection to one socket of the
/// group, and resets connections that are not accepted when that socket closes. net.ipv4.tcp_migrate_req moves them to another socket, except for
/// a handshake that completes on one core while the socket closes on another (docs/decisions/0008). So a socket first stops getting new
/// connections, and closes after the last handshake.
/// </summary>
/// <remarks>Errors of older kernels are ignored.</remarks>
internal static unsafe class ReusePortGroup
{
    /// <summary>
    /// The maximum segment size in the SYNs of <see cref="PortHandover"/>, by which a filter recognizes them. A client with the same size would need a
    /// retransmission if its SYN reached a stopping process.
    /// </summary>
    public const int ProbeSegment = 1237;

    private const ushort LoadByte = 0x30; // BPF_LD | BPF_B | BPF_ABS
    private const ushort LoadWord = 0x20; // BPF_LD | BPF_W | BPF_ABS
    private const ushort JumpIfEqual = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    private const ushort JumpIfNotBelow = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    private const ushort JumpIfSet = 0x45; // BPF_JMP | BPF_JSET | BPF_K
    private const ushort Return = 0x06; // BPF_RET | BPF_K
    private const uint TcpLengthOffset = 12;
    private const uint TcpLengthWithOptions = 0x60; // six words, in the upper half of the byte
    private const uint TcpFlagsOffset = 13;
    private const uint TcpOptionsOffset = 20;
    private const uint TcpSegmentOption = 0x0204_0000; // kind 2 of 4 bytes, which Linux writes first
    private const uint TcpSyn = 0x02;
    private const uint Whole = uint.MaxValue;

    /// <summary>
    /// Sends all new connections of the group to the socket with this index. The kernel orders a group by listen(2) and moves the last socket to the
    /// index of one that leaves. For an index that does not exist, it falls back to its hash.
    /// </summary>
    public static void SteerTo(int fd, uint index) => Attach(fd, LibC.SO_ATTACH_REUSEPORT_CBPF, [new(Return, 0, 0, index)]);

    public static void EndSteering(int fd)
    {
        int unused = 0;
        _ = LibC.SetSocketOption(fd, LibC.SOL_SOCKET, LibC.SO_DETACH_REUSEPORT_BPF, &unused, sizeof(int));
    }

    /// <summary>
    /// Ends the steering, which applies to the whole group, and leaves the group right after: SYNs in between come here and are ignored.
    /// </summary>
    public static void Leave(int fd)
    {
        // The first call of a P/Invoke takes long enough for some SYNs. This call does nothing.
        _ = LibC.Shutdown(-1, LibC.SHUT_RD);
        EndSteering(fd);
        _ = LibC.Shutdown(fd, LibC.SHUT_RD);
    }

    /// <summary>Drops SYNs with <see cref="ProbeSegment"/>. A SYN without options passes.</summary>
    public static void IgnoreProbes(int fd) => Attach(
        fd,
        LibC.SO_ATTACH_FILTER,
        [
            new(LoadByte, 0, 0, TcpLengthOffset),
            new(JumpIfNotBelow, 0, 5, TcpLengthWithOptions),
            new(LoadByte, 0, 0, TcpFlagsOffset),
            new(JumpIfSet, 0, 3, TcpSyn),
            new(LoadWord, 0, 0, TcpOptionsOffset),
            new(JumpIfEqual, 0, 1, TcpSegmentOption | ProbeSegment),
            new(Return, 0, 0, 0),
            new(Return, 0, 0, Whole),
        ]);

    /// <summary>Drops SYNs that were under way to this socket. The client retransmits after a second, to another socket of the group.</summary>
    public static void IgnoreSyns(int fd) => Attach(
        fd,
        LibC.SO_ATTACH_FILTER,
        [new(LoadByte, 0, 0, TcpFlagsOffset), new(JumpIfSet, 0, 1, TcpSyn), new(Return, 0, 0, 0), new(Return, 0, 0, Whole)]);

    private static void Attach(int fd, int option, ReadOnlySpan<Instruction> program)
    {
        fixed (Instruction* instructions = program)
        {
            Program reference = new((ushort)program.Length, instructions);
            _ = LibC.SetSocketOption(fd, LibC.SOL_SOCKET, option, &reference, (uint)sizeof(Program));
        }
    }

    /// <summary><c>struct sock_filter</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Instruction(ushort Code, byte IfTrue, byte IfFalse, uint Operand);

    /// <summary><c>struct sock_fprog</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Program(ushort length, Instruction* instructions)
    {
        public readonly ushort Length = length;
        public readonly Instruction* Instructions = instructions;
    }
}
