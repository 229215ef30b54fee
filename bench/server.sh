#!/usr/bin/env bash
# Throughput and latency of aside-server beside Prosody (archive on) and the machine's limit, in one run.
# ROUNDS, SECS (throughput, each), LATENCY_SECS, RATE, PAIRS, WINDOW, SIZES, PEERS="reference aside prosody"
. "$(dirname "${BASH_SOURCE[0]}")/setup.bash"
ROUNDS=${ROUNDS:-3} SECS=${SECS:-8} LATENCY_SECS=${LATENCY_SECS:-15} RATE=${RATE:-200} PAIRS=${PAIRS:-50} WINDOW=${WINDOW:-16}
SIZES=${SIZES:-256 2048} PEERS=${PEERS:-reference aside prosody} RECORD=$WORK/record
CERTIFICATES=$WORK/certificates

certificates() { # an authority of our own, and a P-256 certificate for localhost
    mkdir -p "$CERTIFICATES" && (cd "$CERTIFICATES"
    openssl ecparam -name prime256v1 -genkey -noout -out ca.key
    openssl req -x509 -new -key ca.key -days 30 -subj /CN=bench -out ca.pem
    openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out key.pem
    openssl req -new -key key.pem -subj /CN=localhost -out leaf.csr
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' > extensions
    openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile extensions -out leaf.pem
    cat leaf.pem ca.pem > cert.pem; chmod 644 ./*) >"$WORK/openssl.log" 2>&1
}
start_reference() {
    PORT=$(free_port)
    "$RELEASE/aside-bench-reference" --port "$PORT" --certificate "$CERTIFICATES/cert.pem" --key "$CERTIFICATES/key.pem" \
        --database "$(mktemp -d "$WORK/reference.XXXX")/log.db" >"$WORK/reference.log" 2>&1 & PID=$!
    wait_port "$PORT" "$WORK/reference.log"
}
start_prosody() { # Debian's, archive (mam) into its own files, stream management; it syncs nothing
    PORT=$(free_port); local data; data=$(mktemp -d "$WORK/prosody.XXXX")
    mkdir -p "$data/localhost/accounts"
    local i; for ((i = 0; i < 2 * PAIRS; i++)); do echo 'return { ["password"] = "pw" };' > "$data/localhost/accounts/u$i.dat"; done
    cat > "$data/prosody.cfg.lua" <<C
data_path = "$data"; certificates = "$CERTIFICATES"; run_as_root = true; daemonize = false
log = { error = "$data/error.log" }
interfaces = { "127.0.0.1" }; c2s_ports = {}; s2s_ports = {}; c2s_direct_tls_ports = { $PORT }
network_settings = { nagle = false } -- in Prosody's favour: its default leaves Nagle's delay on
c2s_direct_tls_ssl = { certificate = "$CERTIFICATES/cert.pem"; key = "$CERTIFICATES/key.pem" }
ssl = { certificate = "$CERTIFICATES/cert.pem"; key = "$CERTIFICATES/key.pem" }
modules_enabled = { "roster", "saslauth", "tls", "disco", "carbons", "pep", "private", "blocklist", "vcard4", "ping",
  "smacks", "mam", "csi_simple", "offline", "presence", "message", "iq" }
modules_disabled = { "s2s" }
authentication = "internal_plain"
max_archive_query_results = 250; smacks_max_unacked_stanzas = 10; archive_expires_after = "never"
storage = { archive = "internal", offline = "internal", accounts = "internal" }
VirtualHost "localhost"
C
    prosody --config "$data/prosody.cfg.lua" -F >"$WORK/prosody.log" 2>&1 & PID=$!
    wait_port "$PORT" "$WORK/prosody.log"
}
certified() { echo --protocol "$1" --name "$2" --pid "$PID" --port "$PORT" --authority "$CERTIFICATES/ca.pem" --record "$RECORD"; }
aside() { echo --protocol aside --name "$1" --pid "$PID" --invite "$(invite)" --record "$RECORD"; }
throughput() { "$LOAD" throughput --pairs "$PAIRS" --window "$WINDOW" --seconds "$SECS" "$@"; }
latency() { "$LOAD" latency --rate "$RATE" --seconds "$LATENCY_SECS" "$@"; }

# A fresh server for each measurement: what one left behind shall not slow the next.
round_reference() {
    local bytes
    for bytes in $SIZES; do start_reference; throughput $(certified reference reference) --bytes "$bytes"; stop; done
    start_reference; latency $(certified reference reference); stop
}
round_prosody() {
    local bytes
    for bytes in $SIZES; do start_prosody; throughput $(certified xmpp prosody) --bytes "$bytes"; stop; done
    start_prosody; latency $(certified xmpp prosody); stop
}
round_aside() {
    local bytes
    for bytes in $SIZES; do
        start_aside; throughput $(aside aside) --bytes "$bytes"; stop
        start_aside; throughput $(aside aside-grouped) --bytes "$bytes" --grouping waiting; stop
        start_aside; throughput $(aside aside-grouped-echo) --bytes "$bytes" --grouping waiting --echo both; stop
    done
    start_aside; latency $(aside aside); stop
}

for peer in $PEERS; do [ "$peer" != prosody ] || need prosody prosody; done
need openssl openssl
build_load; certificates
say "server: $ROUNDS rounds, $PAIRS pairs, at most $WINDOW undelivered messages each, $SECS s after 3 s of warm-up"
disturbers
for ((round = 1; round <= ROUNDS; round++)); do
    say "round $round"
    for peer in $PEERS; do "round_$peer"; done
done
say "medians over all rounds (least to greatest, mean)"
"$LOAD" table "$RECORD"
cat <<'NOTE'
reference           stores and syncs, and does nothing else: the limit of this machine, disk and TLS
prosody             hands on and archives in files, and never syncs
aside               one append a request, as many under way as the window allows; stored and synced before it is accepted
aside-grouped       as Aside's client does: one request under way for each channel, with every message that waits
aside-grouped-echo  the same, and the writer is subscribed too, as clients are: two pushes for each message
NOTE
