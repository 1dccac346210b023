using System.Text.RegularExpressions;
using DynamicSharding.Tests.Docs;

namespace DynamicSharding.Tests;

/// <summary>The arrows between the rooms of Core are those of the table in docs/architecture.md.</summary>
public sealed partial class ArchitectureTests
{
    private const string Document = "docs/architecture.md";

    private static readonly string Core = Path.Combine(Repository.Root, "src", "DynamicSharding.Core");

    /// <summary>Room, known room, and the types that it may know there; none named: all.</summary>
    private static readonly (string Room, string Known, string[] Types)[] Table =
    [
        .. Repository.TableRows(Document)
            .Where(row => RoomName().IsMatch(row[0]))
            .SelectMany(row => Arrow().Matches(row[2] == "nothing" ? "" : row[2])
                .Select(match => (
                    RoomName().Match(row[0]).Groups[1].Value,
                    match.Groups[1].Value,
                    match.Groups[2].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)))),
    ];

    private static readonly string[] Rooms = [.. Directory.EnumerateDirectories(Core).Select(Path.GetFileName).OfType<string>().Where(IsRoom)];

    [Fact]
    public void The_table_lists_every_room() => Assert.Equal(
        Rooms.Order(StringComparer.Ordinal),
        Repository.TableRows(Document).Select(row => RoomName().Match(row[0]).Groups[1].Value).Where(name => name.Length > 0).Order(StringComparer.Ordinal));

    [Fact]
    public void A_room_knows_the_rooms_that_the_table_names_and_no_other()
    {
        IEnumerable<string> found = Rooms.SelectMany(room => Sources(room)
            .SelectMany(source => Mention().Matches(source.Text).Select(match => match.Groups[1].Value))
            .Distinct()
            .Where(known => known != room)
            .Select(known => $"{room} -> {known}"));

        Assert.Equal(
            Table.Select(arrow => $"{arrow.Room} -> {arrow.Known}").Order(StringComparer.Ordinal),
            found.Order(StringComparer.Ordinal));
    }

    /// <summary>A task that nobody awaits and that fails is a defect nobody sees. These two catch and log everything themselves.</summary>
    [Fact]
    public void No_task_is_dropped_but_those_that_log_their_own_failure()
    {
        string[] total = ["_ = AcceptLoopAsync();", "_ = new Connection(socket, _limit, _connectionLogger).RunAsync();", "_ = new Connection(socket, limit, connectionLogger).RunAsync();"];
        IEnumerable<string> lines = Directory.EnumerateFiles(Path.Combine(Repository.Root, "src"), "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal))
            .SelectMany(File.ReadLines)
            .Select(line => line.Trim());
        string[] dropped = [.. lines.Where(line => DroppedTask().IsMatch(line))];
        Assert.Equal(total.Order(StringComparer.Ordinal), dropped.Order(StringComparer.Ordinal));
    }

    [GeneratedRegex(@"^_ = (?!await ).*(Async\(|Task\.Run\()|\basync void\b")]
    private static partial Regex DroppedTask();

    [Fact]
    public void Where_the_table_names_types_no_other_is_known()
    {
        (string Room, string Known, string[] Types)[] narrow = [.. Table.Where(arrow => arrow.Types.Length > 0)];
        Assert.NotEmpty(narrow);
        Assert.All(narrow, arrow =>
        {
            string[] types = [.. Sources(arrow.Known).SelectMany(source => Declaration().Matches(source.Text).Select(match => match.Groups[1].Value))];
            string text = string.Join('\n', Sources(arrow.Room).Select(source => source.Text));
            IEnumerable<string> mentioned = types.Distinct().Where(type => Regex.IsMatch(text, $@"\b{type}\b"));
            Assert.Equal(arrow.Types.Order(StringComparer.Ordinal), mentioned.Order(StringComparer.Ordinal));
        });
    }

    [Fact]
    public void A_namespace_is_its_folder() => Assert.All(Rooms.SelectMany(Sources), source =>
    {
        string folder = Path.GetRelativePath(Core, Path.GetDirectoryName(source.File)!).Replace(Path.DirectorySeparatorChar, '.');
        Assert.Contains($"namespace DynamicSharding.{folder};", source.Text, StringComparison.Ordinal);
    });

    /// <summary>
    /// A request costs no lock and no locked instruction. One file counts connections, one orders reloads and the stop, and one is how both come
    /// to the loops; nothing there is per request.
    /// </summary>
    [Fact]
    public void The_data_plane_takes_no_lock_and_no_interlocked_operation_per_request() => Assert.Equal(
        ["ConnectionLimit.cs", "DataServer.cs", "LoopInbox.cs"],
        ((string[])["Server", "Http", "Routing", "Ring"]).SelectMany(Sources)
            .Concat(Sources("Diagnostics").Where(source => Path.GetFileName(source.File) is "LoopCounters.cs" or "PerLoopCounter.cs"))
            .Where(source => Synchronisation().IsMatch(source.Text))
            .Select(source => Path.GetFileName(source.File))
            .Order(StringComparer.Ordinal));

    private static bool IsRoom(string folder) => folder is not ("bin" or "obj");

    /// <summary>A room's files without their comments, which may point anywhere.</summary>
    private static IEnumerable<(string File, string Text)> Sources(string room) =>
        Directory.EnumerateFiles(Path.Combine(Core, room), "*.cs", SearchOption.AllDirectories)
            .Select(file => (file, Comment().Replace(File.ReadAllText(file), "")));

    [GeneratedRegex(@"^`Core/(\w+)/`$")]
    private static partial Regex RoomName();

    [GeneratedRegex(@"(\w+)(?: \(([^)]*)\))?")]
    private static partial Regex Arrow();

    [GeneratedRegex(@"\bDynamicSharding\.([A-Z]\w*)")]
    private static partial Regex Mention();

    [GeneratedRegex(@"^(?:internal|public)\b[^(={\n]*?\b(?:class|struct|interface|enum|record)\s+(?!struct|class)(\w+)", RegexOptions.Multiline)]
    private static partial Regex Declaration();

    [GeneratedRegex(@"\b(Interlocked|Monitor|Mutex|SemaphoreSlim|SpinLock|ReaderWriterLockSlim|Lock)\b|\block\s*\(")]
    private static partial Regex Synchronisation();

    [GeneratedRegex("//.*")]
    private static partial Regex Comment();
}
