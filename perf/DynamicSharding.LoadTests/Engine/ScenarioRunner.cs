using System.ComponentModel;
using System.Net;
using System.Runtime.InteropServices;
using DynamicSharding.LoadTests.Model;
using DynamicSharding.Server;

namespace DynamicSharding.LoadTests.Engine;

/// <summary>
/// One scenario on one thread: assigns due writes to idle clients and reads replies. Edge-triggered, so that a request on a kept connection
/// costs a send, a receive and its share of a wait.
/// </summary>
internal sealed unsafe class ScenarioRunner : IDisposable
{
    private const int EventsPerWait = 256;
    private const long Second = 1_000_000_000;

    private readonly Scenario _scenario;
    private readonly ClientSocket _sockets;
    private readonly Schedule _schedule;
    private readonly Message[] _messages;
    private readonly ClientConnection[] _clients;
    private readonly Queue<ClientConnection> _idle;
    private readonly Queue<(ClientConnection Client, long Due)> _trickling = new();
    private readonly EpollEvents _events = new(EventsPerWait);
    private readonly int _epoll;
    private RunClock _clock = new(TimeSpan.Zero);
    private long _nextMessage;
    private int _busy;
    private long _now;
    private long _idleSince = long.MinValue;
    private long _nextTick;

    public ScenarioRunner(Scenario scenario, TimeSpan warmUp, EventPlan? events, IPEndPoint target)
    {
        _scenario = scenario;
        _schedule = new Schedule(scenario, warmUp);
        _messages = MessageCatalog.Write(scenario, target.ToString());
        _clients = [.. Enumerable.Range(0, scenario.Connections).Select(static slot => new ClientConnection(slot))];
        _idle = new Queue<ClientConnection>(_clients);
        _epoll = LibC.EpollCreate(LibC.EPOLL_CLOEXEC);
        if (_epoll < 0) throw new Win32Exception(Marshal.GetLastPInvokeError(), "epoll_create1 failed");
        _sockets = new ClientSocket(target, _epoll);
        Recorder = new ScenarioRecorder(scenario, events);
    }

    public Scenario Scenario => _scenario;

    public ScenarioRecorder Recorder { get; }

    /// <summary>Runs until the schedule has ended and every request has a reply or has failed.</summary>
    public void Run(RunClock clock, CancellationToken cancellation)
    {
        _clock = clock;
        // The default timer slack of 50 us would be a third of a typical latency. Affects this thread only.
        _ = Kernel.ProcessControl(Kernel.PR_SET_TIMERSLACK, 1);
        long giveUp = (long)(_scenario.Duration + _scenario.Timeout).TotalNanoseconds;
        _now = _clock.Now;
        _nextTick = _now;
        while (!cancellation.IsCancellationRequested && _now < giveUp)
        {
            SendDue();
            SendPieces();
            if (_schedule.Ended && _busy == 0) break;
            Wait();
            if (_now >= _nextTick) Tick();
        }

        foreach (ClientConnection client in _clients.Where(static client => client.Message is not null)) Fail(client, FailureKind.Timeout);
        while (!cancellation.IsCancellationRequested && _schedule.TryTake(_now, int.MaxValue, out long intended)) Unsent(intended);
    }

    public void Dispose()
    {
        foreach (ClientConnection client in _clients) _sockets.Close(client);
        _ = LibC.Close(_epoll);
    }

    private void SendDue()
    {
        while (_idle.Count > 0 && _schedule.TryTake(_now, _busy, out long intended))
        {
            ClientConnection client = _idle.Dequeue();
            _busy++;
            client.Begin(NextMessage(), intended, _now);
            Recorder.Sending(intended, _now - Math.Max(intended, _idleSince));
            if (client.Fd < 0)
            {
                if (!_sockets.TryConnect(client))
                {
                    Fail(client, FailureKind.ConnectFailed);
                    continue;
                }

                // The request is sent when epoll reports the connection.
                Recorder.Opened(_now);
                continue;
            }

            Send(client);
            _now = _clock.Now;
        }
    }

    private Message NextMessage() => _messages[_nextMessage++ % _messages.Length];

    private void Wait()
    {
        long until = _nextTick;
        if (_idle.Count > 0) until = Math.Min(until, _schedule.NextDue);
        if (_trickling.Count > 0) until = Math.Min(until, _trickling.Peek().Due);
        long pause = Math.Max(0, until - _clock.Now);
        var timeout = new Kernel.TimeSpec { Seconds = (nint)(pause / Second), Nanoseconds = (nint)(pause % Second) };
        int count = Kernel.EpollWait(_epoll, _events.Pointer, _events.Capacity, &timeout, null);
        _now = _clock.Now;
        for (int i = 0; i < count; i++)
        {
            OnReady(_clients[_events.DataAt(i)]);
            // Each reply gets its own time: handling a batch may take as long as a latency.
            _now = _clock.Now;
        }
    }

    private void OnReady(ClientConnection client)
    {
        if (client.Fd < 0) return;
        if (client.Message is { } message && client.Sent < message.Length && _now >= client.NextPiece) Send(client);
        Receive(client);
    }

    private void Send(ClientConnection client)
    {
        Message message = client.Message!;
        while (client.Sent < message.Length)
        {
            ReadOnlySpan<byte> rest = message.From(client.Sent);
            if (_scenario.Trickle is { } trickle && rest.Length > trickle.Bytes) rest = rest[..trickle.Bytes];
            int sent = _sockets.Send(client, rest);
            if (sent == ClientSocket.WouldBlock) return;
            if (sent < 0)
            {
                // An early reply may have come before the reset; Receive finds it or reports the failure.
                client.SendFailed = true;
                client.Sent = message.Length;
                Receive(client);
                return;
            }

            client.Sent += sent;
            if (_scenario.Trickle is null || client.Sent == message.Length) continue;
            client.NextPiece = _now + (long)_scenario.Trickle.Every.TotalNanoseconds;
            _trickling.Enqueue((client, client.NextPiece));
            return;
        }

        // The reply may arrive while the body is still being sent.
        if (client.Answered == message.Expected.Length) Finish(client, close: false);
    }

    /// <summary>All pauses are equally long, so the queue is ordered by time. Entries of failed writes are skipped.</summary>
    private void SendPieces()
    {
        while (_trickling.Count > 0 && _trickling.Peek().Due <= _now)
        {
            (ClientConnection client, long due) = _trickling.Dequeue();
            if (client.Message is not null && client.NextPiece == due) Send(client);
        }
    }

    private void Receive(ClientConnection client)
    {
        while (client.Fd >= 0)
        {
            int room = ClientConnection.BufferSize - client.Filled;
            int received = _sockets.Receive(client, room);
            if (received == ClientSocket.WouldBlock)
            {
                if (client.SendFailed) Lose(client, FailureKind.Reset);
                return;
            }

            if (received <= 0)
            {
                Lose(client, received == 0 ? FailureKind.ClosedEarly : FailureKind.Reset);
                return;
            }

            client.Filled += received;
            TakeReplies(client);
            // Edge-triggered: a short count means that the socket is drained.
            if (received < room && !client.SendFailed) return;
        }
    }

    private void TakeReplies(ClientConnection client)
    {
        int taken = 0;
        while (client.Fd >= 0 && taken < client.Filled)
        {
            int result = Reply.TryRead(client.Buffer.AsSpan(taken, client.Filled - taken), out Reply reply);
            if (result == 0 && client.Filled - taken < ClientConnection.BufferSize) break;
            Message? message = client.Message;
            if (result <= 0 || message is null || client.Answered == message.Expected.Length)
            {
                Lose(client, FailureKind.BadReply);
                return;
            }

            taken += reply.Length;
            Check(client, message.Expected[client.Answered++], reply);
            bool all = client.Answered == message.Expected.Length;
            if (reply.Closes)
            {
                // Requests pipelined behind it get no reply.
                if (all) Finish(client, close: true);
                else Lose(client, FailureKind.ClosedEarly);
                return;
            }

            if (all && taken < client.Filled)
            {
                Recorder.Failure(FailureKind.BadReply, message.Expected[^1], client.Intended, _now);
                Finish(client, close: true);
                return;
            }

            if (all && client.Sent == message.Length) Finish(client, close: _scenario.FreshConnections);
        }

        if (client.Fd < 0) return;
        client.Buffer.AsSpan(taken, client.Filled - taken).CopyTo(client.Buffer);
        client.Filled -= taken;
    }

    private void Check(ClientConnection client, Expectation expected, in Reply reply)
    {
        if (reply.Status != expected.Status) Recorder.Failure(FailureKind.WrongStatus, expected, client.Intended, _now);
        else if (!reply.Location.EndsWith(expected.Target)) Recorder.Failure(FailureKind.WrongLocation, expected, client.Intended, _now);
        else Recorder.Reply(expected.Kind, client.Intended, _now);
    }

    private void Finish(ClientConnection client, bool close)
    {
        if (close) _sockets.Close(client);
        client.Message = null;
        _busy--;
        if (_idle.Count == 0) _idleSince = _now;
        _idle.Enqueue(client);
    }

    /// <summary>Closes a dead connection; a request that waits on it has failed.</summary>
    private void Lose(ClientConnection client, FailureKind failure)
    {
        if (client.Message is not null) Fail(client, failure);
        else _sockets.Close(client);
    }

    private void Fail(ClientConnection client, FailureKind failure)
    {
        Message message = client.Message!;
        // All replies are there, but the rest of the last body was not sent: that request has failed, too.
        int first = Math.Min(client.Answered, message.Expected.Length - 1);
        for (int i = first; i < message.Expected.Length; i++) Recorder.Failure(failure, message.Expected[i], client.Intended, _now);
        Finish(client, close: true);
    }

    private void Unsent(long intended)
    {
        foreach (Expectation expected in NextMessage().Expected) Recorder.Failure(FailureKind.Unsent, expected, intended, _now);
    }

    private void Tick()
    {
        _nextTick = _now + Second;
        long oldest = _now - (long)_scenario.Timeout.TotalNanoseconds;
        foreach (ClientConnection client in _clients)
        {
            if (client.Message is not null && client.Started < oldest) Fail(client, FailureKind.Timeout);
        }
    }
}
