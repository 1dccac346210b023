using System.Runtime.InteropServices;

namespace DynamicSharding.Server;

/// <summary>
/// How a listening socket leaves its SO_REUSEPORT group so that no connection is lost. Linux ties a connection to one socket of the group
/// with its SYN, and resets what is not accepted when that socket closes. net.ipv4.tcp_migrate_req moves it to another socket instead, but
/// not a handshake that ends on one core while the socket closes on another (docs/decisions/0008). So a socket that is about to close gets no
/// new connection first, and closes when the last handshake is over.
/// </summary>
/// <remarks>What an old kernel refuses is left out: then it is as without this class.</remarks>
internal static unsafe class ReusePortGroup
{
    /// <summary>
    /// The maximum segment size that the SYNs of <see cref="PortHandover"/> announce: by it a filter tells them from those of clients. A client
    /// that announces the same would have to send its SYN again, if that came to a process that stops.
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
    /// New connections of the whole group go to the socket in this place. The kernel keeps a group in the order of listen(2) and lets the last
    /// take the place of one that leaves. Where there is no such place, it falls back to its hash.
    /// </summary>
    public static void SteerTo(int fd, uint place) => Attach(fd, LibC.SO_ATTACH_REUSEPORT_CBPF, [new(Return, 0, 0, place)]);

    public static void EndSteering(int fd)
    {
        int unused = 0;
        _ = LibC.SetSocketOption(fd, LibC.SOL_SOCKET, LibC.SO_DETACH_REUSEPORT_BPF, &unused, sizeof(int));
    }

    /// <summary>
    /// Ends the steering, because the program is the whole group's, and leaves the group at once: in between, SYNs come here and are ignored.
    /// </summary>
    public static void Leave(int fd)
    {
        // A first call is compiled, which takes long enough for some SYNs; this one does nothing.
        _ = LibC.Shutdown(-1, LibC.SHUT_RD);
        EndSteering(fd);
        _ = LibC.Shutdown(fd, LibC.SHUT_RD);
    }

    /// <summary>A SYN with <see cref="ProbeSegment"/> is not answered; of one without options there is nothing to be read.</summary>
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

    /// <summary>
    /// What still comes to this socket, because it was under way, is not answered: its client sends the SYN again after a second, and another
    /// socket of the group gets it.
    /// </summary>
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
