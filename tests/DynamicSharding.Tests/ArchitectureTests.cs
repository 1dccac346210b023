using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using System.Text.RegularExpressions;
using DynamicSharding.Tests.Docs;

namespace DynamicSharding.Tests;

/// <summary>The references between the rooms of Core, in the compiled assembly, are those that the documented table allows.</summary>
public sealed partial class ArchitectureTests
{
    /// <summary>Wires the objects together: may know every room, and no room may know it.</summary>
    private const string Root = "";

    private static readonly Dictionary<string, string[]> Allowed = Repository.Documents().SelectMany(Repository.TableRows)
        .Where(row => RoomName().IsMatch(row[0]))
        .ToDictionary(
            row => RoomName().Match(row[0]).Groups[1].Value,
            row => row[2] == "nothing" ? [] : row[2].Split(',', StringSplitOptions.TrimEntries));

    private static readonly AssemblyReferences Core = new(typeof(ServerHost).Assembly.Location);

    [Fact]
    public void The_table_lists_every_room() => Assert.Equal(
        Core.Rooms.Where(room => room != Root).Order(StringComparer.Ordinal), Allowed.Keys.Order(StringComparer.Ordinal));

    [Fact]
    public void A_room_knows_only_the_rooms_that_the_table_allows() => Assert.Empty(Core.Arrows
        .Where(arrow => arrow.From != Root && !Allowed[arrow.From].Contains(arrow.To))
        .Select(arrow => $"{(arrow.To == Root ? "the root" : arrow.To)} is known to {arrow.From}: {arrow.User} -> {arrow.Used}"));

    [Fact]
    public void The_table_allows_only_what_is_used() => Assert.DoesNotContain(
        Allowed.SelectMany(row => row.Value.Select(known => (From: row.Key, To: known))),
        allowed => !Core.Arrows.Any(arrow => arrow.From == allowed.From && arrow.To == allowed.To));

    [Fact]
    public void There_are_no_cycles()
    {
        // Removes rooms that know only removed rooms, until none is left but those in a cycle or behind one.
        HashSet<string> rooms = [.. Core.Rooms];
        while (rooms.RemoveWhere(room => !Core.Arrows.Any(arrow => arrow.From == room && rooms.Contains(arrow.To))) > 0)
        {
        }

        Assert.Empty(rooms);
    }

    [Fact]
    public void The_reader_of_type_references_sees_signatures_and_bodies()
    {
        // A field, a call of an extension method, and a generic argument: if one kind were missed, the tests above could not fail.
        Assert.Contains(Core.Arrows, arrow => arrow.User.StartsWith("ActiveRing", StringComparison.Ordinal) && arrow.To == "Ring");
        Assert.Contains(Core.Arrows, arrow => arrow.From == Root && arrow.Used == "Log");
        Assert.Contains(Core.Arrows, arrow => arrow.From == "Discovery" && arrow.Used == "ServiceEntry");
    }

    /// <summary>
    /// A request takes no lock and executes no interlocked instruction. One of the listed types counts connections; the two with a lock
    /// serialize what the control plane wants from the loops; RejectLog exchanges a number for each of the few lines a second about rejected
    /// requests. None of it is per request.
    /// </summary>
    [Fact]
    public void The_data_plane_takes_no_lock_and_no_interlocked_operation_per_request() => Assert.Equal(
        ["ConnectionLimit", "DataServer", "LoopInbox", "RejectLog"],
        Core.Uses
            .Where(use => use.Room is "Server" or "Http" or "Routing" or "Ring" && use.Type is "Interlocked" or "Monitor" or "Mutex"
                or "SemaphoreSlim" or "SpinLock" or "ReaderWriterLockSlim" or "Lock")
            .Select(use => use.User)
            .Distinct());

    /// <summary>The data plane is this program's own; Kestrel serves operators.</summary>
    [Fact]
    public void Only_the_admin_listener_s_rooms_know_Kestrel()
    {
        var users = Core.Uses.Where(use => use.Namespace.StartsWith("Microsoft.AspNetCore.Server.Kestrel", StringComparison.Ordinal)).ToArray();
        Assert.Contains(users, use => use is { Room: "Web", User: "WebListener" });
        Assert.DoesNotContain(users, use => use.Room is not ("Web" or "Admin"));
    }

    [GeneratedRegex(@"^`Core/(\w+)/`$")]
    private static partial Regex RoomName();

    /// <summary>Which type of an assembly references which: in signatures, locals, method bodies and attributes.</summary>
    private sealed class AssemblyReferences
    {
        private const string Prefix = "DynamicSharding";

        private readonly HashSet<(string From, string To, string User, string Used)> _arrows = [];
        private readonly HashSet<(string Room, string User, string Namespace, string Type)> _uses = [];
        private readonly HashSet<string> _rooms = [];
        private readonly MetadataReader _metadata;

        public AssemblyReferences(string file)
        {
            using FileStream stream = File.OpenRead(file);
            using var image = new PEReader(stream, PEStreamOptions.PrefetchEntireImage);
            _metadata = image.GetMetadataReader();
            foreach (TypeDefinitionHandle handle in _metadata.TypeDefinitions)
            {
                TypeDefinition outer = _metadata.GetTypeDefinition(OuterOf(handle));
                if (RoomOf(_metadata.GetString(outer.Namespace)) is not { } room) continue;
                string user = NameOf(outer.Name);
                _rooms.Add(room);
                var types = new TypeCollector(_metadata);
                Collect(_metadata.GetTypeDefinition(handle), image, types);
                foreach (EntityHandle used in types.Found) Add(room, user, used);
            }
        }

        public IReadOnlySet<string> Rooms => _rooms;

        public IReadOnlySet<(string From, string To, string User, string Used)> Arrows => _arrows;

        /// <summary>Types of other assemblies.</summary>
        public IReadOnlySet<(string Room, string User, string Namespace, string Type)> Uses => _uses;

        private static string? RoomOf(string ns) => ns == Prefix ? Root
            : ns.StartsWith(Prefix + ".", StringComparison.Ordinal) ? ns[(Prefix.Length + 1)..].Split('.')[0]
            : null;

        private void Add(string room, string user, EntityHandle used)
        {
            if (used.Kind == HandleKind.TypeReference)
            {
                TypeReference type = _metadata.GetTypeReference((TypeReferenceHandle)used);
                _uses.Add((room, user, _metadata.GetString(type.Namespace), NameOf(type.Name)));
                return;
            }

            TypeDefinition outer = _metadata.GetTypeDefinition(OuterOf((TypeDefinitionHandle)used));
            if (RoomOf(_metadata.GetString(outer.Namespace)) is { } to && to != room) _arrows.Add((room, to, user, NameOf(outer.Name)));
        }

        private string NameOf(StringHandle name) => _metadata.GetString(name).Split('`')[0];

        private TypeDefinitionHandle OuterOf(TypeDefinitionHandle handle)
        {
            while (_metadata.GetTypeDefinition(handle).GetDeclaringType() is { IsNil: false } outer) handle = outer;
            return handle;
        }

        private void Collect(TypeDefinition type, PEReader image, TypeCollector types)
        {
            types.Add(type.BaseType);
            foreach (InterfaceImplementationHandle handle in type.GetInterfaceImplementations())
            {
                types.Add(_metadata.GetInterfaceImplementation(handle).Interface);
            }

            foreach (GenericParameterHandle parameter in type.GetGenericParameters()) Collect(parameter, types);
            foreach (CustomAttributeHandle attribute in type.GetCustomAttributes()) types.Add(_metadata.GetCustomAttribute(attribute).Constructor);
            foreach (FieldDefinitionHandle field in type.GetFields()) _metadata.GetFieldDefinition(field).DecodeSignature(types, null);
            foreach (MethodDefinitionHandle handle in type.GetMethods())
            {
                MethodDefinition method = _metadata.GetMethodDefinition(handle);
                method.DecodeSignature(types, null);
                foreach (GenericParameterHandle parameter in method.GetGenericParameters()) Collect(parameter, types);
                foreach (CustomAttributeHandle attribute in method.GetCustomAttributes()) types.Add(_metadata.GetCustomAttribute(attribute).Constructor);
                if (method.RelativeVirtualAddress != 0) Collect(image.GetMethodBody(method.RelativeVirtualAddress), types);
            }
        }

        private void Collect(GenericParameterHandle handle, TypeCollector types)
        {
            foreach (GenericParameterConstraintHandle constraint in _metadata.GetGenericParameter(handle).GetConstraints())
            {
                types.Add(_metadata.GetGenericParameterConstraint(constraint).Type);
            }
        }

        private void Collect(MethodBodyBlock body, TypeCollector types)
        {
            if (!body.LocalSignature.IsNil) _metadata.GetStandaloneSignature(body.LocalSignature).DecodeLocalSignature(types, null);
            foreach (ExceptionRegion region in body.ExceptionRegions)
            {
                if (region.Kind == ExceptionRegionKind.Catch) types.Add(region.CatchType);
            }

            BlobReader code = body.GetILReader();
            while (code.RemainingBytes > 0)
            {
                int first = code.ReadByte();
                switch (OperandOf(first == 0xFE ? 0xFE00 | code.ReadByte() : first))
                {
                    case Operand.Token:
                        types.Add(MetadataTokens.EntityHandle(code.ReadInt32()));
                        break;
                    case Operand.Switch:
                        int targets = code.ReadInt32();
                        code.Offset += 4 * targets;
                        break;
                    case var operand:
                        code.Offset += (int)operand;
                        break;
                }
            }
        }

        /// <summary>ECMA-335 III: the operand of an instruction; its value is the length in bytes, except for Token and Switch.</summary>
        private static Operand OperandOf(int opcode) => opcode switch
        {
            0x45 => Operand.Switch,

            // jmp, call; callvirt, cpobj, ldobj; newobj, castclass, isinst; unbox; the fields and stobj; box, newarr; ldelema, ldelem to
            // unbox.any; refanyval; mkrefany; ldtoken; ldftn, ldvirtftn; initobj, constrained; sizeof.
            0x27 or 0x28 or (>= 0x6F and <= 0x71) or (>= 0x73 and <= 0x75) or 0x79 or (>= 0x7B and <= 0x81) or 0x8C or 0x8D or 0x8F
                or (>= 0xA3 and <= 0xA5) or 0xC2 or 0xC6 or 0xD0 or 0xFE06 or 0xFE07 or 0xFE15 or 0xFE16 or 0xFE1C => Operand.Token,

            // ldarg.s to stloc.s, ldc.i4.s, the short branches, leave.s, unaligned, no.
            (>= 0x0E and <= 0x13) or 0x1F or (>= 0x2B and <= 0x37) or 0xDE or 0xFE12 or 0xFE19 => Operand.One,

            // ldarg to stloc.
            >= 0xFE09 and <= 0xFE0E => Operand.Two,

            // ldc.i4, ldc.r4, calli, the branches, ldstr, leave.
            0x20 or 0x22 or 0x29 or (>= 0x38 and <= 0x44) or 0x72 or 0xDD => Operand.Four,

            // ldc.i8, ldc.r8.
            0x21 or 0x23 => Operand.Eight,
            _ => Operand.None,
        };

        private enum Operand
        {
            None = 0,
            One = 1,
            Two = 2,
            Four = 4,
            Eight = 8,
            Token,
            Switch,
        }
    }

    /// <summary>Collects every type that a signature or a token names.</summary>
    private sealed class TypeCollector(MetadataReader metadata) : ISignatureTypeProvider<bool, object?>
    {
        public HashSet<EntityHandle> Found { get; } = [];

        public void Add(EntityHandle handle)
        {
            if (handle.IsNil) return;
            switch (handle.Kind)
            {
                case HandleKind.TypeDefinition or HandleKind.TypeReference:
                    Found.Add(handle);
                    break;
                case HandleKind.TypeSpecification:
                    metadata.GetTypeSpecification((TypeSpecificationHandle)handle).DecodeSignature(this, null);
                    break;
                case HandleKind.MethodDefinition:
                    Add(metadata.GetMethodDefinition((MethodDefinitionHandle)handle).GetDeclaringType());
                    metadata.GetMethodDefinition((MethodDefinitionHandle)handle).DecodeSignature(this, null);
                    break;
                case HandleKind.FieldDefinition:
                    Add(metadata.GetFieldDefinition((FieldDefinitionHandle)handle).GetDeclaringType());
                    metadata.GetFieldDefinition((FieldDefinitionHandle)handle).DecodeSignature(this, null);
                    break;
                case HandleKind.MemberReference:
                    MemberReference member = metadata.GetMemberReference((MemberReferenceHandle)handle);
                    Add(member.Parent);
                    if (member.GetKind() == MemberReferenceKind.Method) member.DecodeMethodSignature(this, null);
                    else member.DecodeFieldSignature(this, null);
                    break;
                case HandleKind.MethodSpecification:
                    MethodSpecification method = metadata.GetMethodSpecification((MethodSpecificationHandle)handle);
                    Add(method.Method);
                    method.DecodeSignature(this, null);
                    break;
            }
        }

        public bool GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind) => Found.Add(handle);

        public bool GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) => Found.Add(handle);

        public bool GetTypeFromSpecification(MetadataReader reader, object? genericContext, TypeSpecificationHandle handle, byte rawTypeKind) =>
            reader.GetTypeSpecification(handle).DecodeSignature(this, genericContext);

        public bool GetArrayType(bool elementType, ArrayShape shape) => true;

        public bool GetByReferenceType(bool elementType) => true;

        public bool GetFunctionPointerType(MethodSignature<bool> signature) => true;

        public bool GetGenericInstantiation(bool genericType, System.Collections.Immutable.ImmutableArray<bool> typeArguments) => true;

        public bool GetGenericMethodParameter(object? genericContext, int index) => true;

        public bool GetGenericTypeParameter(object? genericContext, int index) => true;

        public bool GetModifiedType(bool modifier, bool unmodifiedType, bool isRequired) => true;

        public bool GetPinnedType(bool elementType) => true;

        public bool GetPointerType(bool elementType) => true;

        public bool GetPrimitiveType(PrimitiveTypeCode typeCode) => true;

        public bool GetSZArrayType(bool elementType) => true;
    }
}
