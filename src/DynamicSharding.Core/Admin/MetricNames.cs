namespace DynamicSharding.Admin;

/// <summary>The name of every metric.</summary>
internal static class MetricNames
{
    public const string Requests = "dynamic_sharding_requests_total";
    public const string Redirects = "dynamic_sharding_redirects_total";
    public const string RejectedRequests = "dynamic_sharding_rejected_requests_total";
    public const string RequestDuration = "dynamic_sharding_request_duration_seconds";
    public const string ConnectionsOpen = "dynamic_sharding_connections_open";
    public const string ConnectionsAccepted = "dynamic_sharding_connections_accepted_total";
    public const string ConnectionsClosed = "dynamic_sharding_connections_closed_total";

    public const string RingMembers = "dynamic_sharding_ring_members";
    public const string RingOwnership = "dynamic_sharding_ring_ownership_ratio";
    public const string RingInfo = "dynamic_sharding_ring_info";
    public const string RingChanges = "dynamic_sharding_ring_changes_total";
    public const string RingMoved = "dynamic_sharding_ring_moved_ratio";
    public const string RingBuild = "dynamic_sharding_ring_build_seconds";
    public const string RingBuildFailures = "dynamic_sharding_ring_build_failures_total";
    public const string GatewaysConfigured = "dynamic_sharding_gateways_configured";
    public const string GatewaysRefused = "dynamic_sharding_gateways_refused";
    public const string GatewaysHidden = "dynamic_sharding_gateways_hidden";
    public const string GatewayState = "dynamic_sharding_gateway_state";
    public const string GatewayOverloaded = "dynamic_sharding_gateway_overloaded";

    public const string DiscoveryFailures = "dynamic_sharding_discovery_failures_total";
    public const string DiscoveryLastSuccess = "dynamic_sharding_discovery_last_success_timestamp_seconds";
    public const string DiscoverySinceSuccess = "dynamic_sharding_discovery_seconds_since_last_success";
    public const string ConsulIndex = "dynamic_sharding_consul_index";
    public const string ConsulLastContact = "dynamic_sharding_consul_last_contact_seconds";
    public const string ConsulKnownLeader = "dynamic_sharding_consul_known_leader";
    public const string ConsulSkippedAddresses = "dynamic_sharding_consul_skipped_addresses_total";
    public const string RegistrationWrites = "dynamic_sharding_registration_writes_total";
    public const string RegistrationFailures = "dynamic_sharding_registration_failures_total";

    public const string ConfigReloadSuccessful = "dynamic_sharding_config_last_reload_successful";
    public const string ConfigReloadSuccessTime = "dynamic_sharding_config_last_reload_success_timestamp_seconds";
    public const string AdminRejected = "dynamic_sharding_admin_rejected_requests_total";
    public const string Ready = "dynamic_sharding_ready";
    public const string BuildInfo = "dynamic_sharding_build_info";

    // With a forward listener only.
    public const string ForwardRequests = "dynamic_sharding_forward_requests_total";
    public const string ForwardRefused = "dynamic_sharding_forward_refused_total";
    public const string ForwardReplays = "dynamic_sharding_forward_replays_total";
    public const string ForwardInFlight = "dynamic_sharding_forward_in_flight";
    public const string ForwardDuration = "dynamic_sharding_forward_duration_seconds";
    public const string ForwardBytes = "dynamic_sharding_forward_bytes_total";

    // The names that Prometheus client libraries use, so that common dashboards and alerts work.
    public const string ProcessCpu = "process_cpu_seconds_total";
    public const string ProcessResidentMemory = "process_resident_memory_bytes";
    public const string ProcessVirtualMemory = "process_virtual_memory_bytes";
    public const string ProcessOpenFds = "process_open_fds";
    public const string ProcessMaxFds = "process_max_fds";
    public const string ProcessThreads = "process_threads";
    public const string ProcessStartTime = "process_start_time_seconds";

    public const string GcCollections = "dotnet_gc_collections_total";
    public const string GcAllocated = "dotnet_gc_allocated_bytes_total";
    public const string GcHeap = "dotnet_gc_heap_size_bytes";
    public const string GcCommitted = "dotnet_gc_committed_bytes";
    public const string GcPause = "dotnet_gc_pause_seconds_total";
    public const string ThreadPoolThreads = "dotnet_threadpool_threads";
    public const string ThreadPoolQueue = "dotnet_threadpool_queue_length";
    public const string ThreadPoolCompleted = "dotnet_threadpool_completed_items_total";
    public const string LockContentions = "dotnet_lock_contentions_total";
}
