#!/usr/bin/env bash
# Makes everything that the stack needs: the virtual environment .venv, the Python packages, and the Debian packages for
# rendering where it may install them. Safe to interrupt, to repeat and to start twice; nothing to do takes a moment.
#
#   PYTHON=python3.12 scripts/setup.sh    with this interpreter instead of the first suitable one
#   NO_APT=1 scripts/setup.sh             leave the system's packages alone
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly venv=.venv log=.venv/setup.log stamp=.venv/setup.stamp
readonly supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
source scripts/setup_apt.sh

say() { printf 'set-up: %s\n' "$*" >&2; }

fail() {
    say "$@"
    exit 1
}

# What the set-up depends on; it is done when the stamp says the same. The folder counts, for a venv cannot be moved.
key() {
    { cat pyproject.toml scripts/setup*.sh && pwd -P && "$1" -V; } | sha256sum | cut -d ' ' -f 1
}

is_done() {
    [[ -x $venv/bin/python && -f $stamp && $(<"$stamp") == "$(key $venv/bin/python)" ]] &&
        [[ -z ${PYTHON:-} || $("$PYTHON" -V 2>&1) == "$($venv/bin/python -V)" ]]
}

find_python() {
    local candidate found=()
    # The system's own comes first: its venv package is the likeliest to be there. A name alone proves nothing
    # (version managers leave shims behind), so each one is run.
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        "$candidate" -c "$supported" 2>/dev/null || continue
        found+=("$candidate")
        "$candidate" -c 'import venv, ensurepip' 2>/dev/null && echo "$candidate" && return
    done
    [[ ${#found[@]} -gt 0 ]] && echo "${found[0]}"
}

describe_missing_python() {
    local present
    present=$("${PYTHON:-python3}" -V 2>&1 | tail -n 1) || true
    fail "wanted Python 3.11, 3.12 or 3.13; '${PYTHON:-python3} -V' says: ${present:-nothing}." \
        "Install one (Debian 12 and 13, Ubuntu 24.04: $(as_root_text)apt-get install python3 python3-venv)," \
        "or name one: PYTHON=/path/to/python3.12 make demo"
}

# Whole, of a supported version, made for this folder: `activate` is the last thing that venv writes, and names it.
venv_is_usable() {
    local made_for
    [[ -f $venv/bin/activate ]] && $venv/bin/python -c "$supported" 2>/dev/null || return 1
    made_for=$(sed -nE "s/^ *(export )?VIRTUAL_ENV=[\"']?(\/[^\"']*).*/\2/p" $venv/bin/activate | head -n 1)
    [[ $made_for -ef $venv ]] || return 1
    [[ -z ${PYTHON:-} || $($venv/bin/python -V) == "$("$PYTHON" -V 2>&1)" ]] || return 1
    $venv/bin/python -m pip --version >/dev/null 2>&1
}

make_venv() {
    local python=$1
    [[ ! -L $venv ]] || fail ".venv is a link; remove it or point it elsewhere: the set-up would write through it"
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$("$python" -V) cannot make virtual environments; install the missing part and run the same again:" \
            "$(as_root_text)apt-get install $(venv_package "$python")"
    say "$([[ -e $venv ]] && echo re)making .venv with $("$python" -V)"
    rm -rf "$venv"
    "$python" -m venv "$venv" >&2 || fail "could not make .venv; the lines above say why"
}

# A killed pip can leave a package that looks installed and is not. INSTALLER is written after everything else, so
# what has none is removed and pip installs it anew; so is what pip had renamed in order to replace it.
forget_half_installed() {
    local info
    for info in $venv/lib/python3*/site-packages/*.dist-info; do
        [[ ! -d $info || -s $info/INSTALLER ]] || rm -rf "$info"
    done
    rm -rf $venv/lib/python3*/site-packages/~*
}

install_packages() {
    forget_half_installed
    say "installing Python packages: 3.3 GB on disk, more with a CUDA build of PyTorch;" \
        "one minute, or a few on a slow network; log: $log"
    PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 run_with_progress \
        $venv/bin/python -m pip install --no-input --disable-pip-version-check --progress-bar off -e '.[dev]' ||
        explain_failure
    install_clients_of_arms
}

# They come as wheels only; where none fits, an arm of that kind cannot be driven and nothing else is amiss.
install_clients_of_arms() {
    PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 run_with_progress \
        $venv/bin/python -m pip install --no-input --disable-pip-version-check --progress-bar off \
        --only-binary franky-control,pylibfranka,panda-python -e '.[franka]' ||
        say "the clients of Franka arms do not install here (log: $log); everything else works without them"
}

explain_failure() {
    local cause="pip failed"
    if grep -q 'No space left on device' $log; then
        cause="the disk is full: $(df -h --output=avail . | tail -n 1 | tr -d ' ') free, 7 GB wanted"
    elif grep -qE 'NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|Max retries exceeded' $log; then
        cause="the package index could not be reached; check the network and pip's settings (pip config list)"
    elif grep -q 'No matching distribution found' $log; then
        cause=$(grep -oE 'No matching distribution found for .*' $log | tail -n 1)
    elif grep -q 'Permission denied' $log; then
        cause="a file could not be written: permission denied"
    fi
    tail -n 15 $log >&2
    fail "$cause. The lines above are the end of $log; mend the cause and run the same command again"
}

# Runs a command with its output in the log, and meanwhile says every second (without a terminal: every 20 s) how far
# it is. `child` is killed when the set-up is interrupted, and the set-up waits for it: one pip at a time.
run_with_progress() {
    local started=$SECONDS every=20 line
    packages_before=$(count_packages)
    [[ -t 2 ]] && every=1
    "$@" >"$log" 2>&1 </dev/null &
    child=$!
    while sleep 1 && kill -0 "$child" 2>/dev/null; do
        (((SECONDS - started) % every == 0)) || continue
        line="$((SECONDS - started)) s: $(pip_progress)"
        if [[ -t 2 ]]; then printf '\r\033[K  %s' "${line:0:110}" >&2; else say "$line"; fi
    done
    [[ -t 2 ]] && printf '\r\033[K' >&2
    local status=0
    wait "$child" || status=$?
    child=
    return $status
}

count_packages() {
    find $venv/lib/python3*/site-packages -maxdepth 1 -name '*.dist-info' | wc -l
}

pip_progress() {
    local last whole
    last=$(grep -oE '^(Collecting|Installing collected packages:|  (Downloading|Using cached)) .*' $log | tail -n 1)
    if [[ $last == Installing* ]]; then
        whole=$(tr -cd , <<<"$last" | wc -c)
        echo "unpacking, $(($(count_packages) - packages_before)) of $((whole + 1)) packages"
    elif [[ -n $last ]]; then
        sed -E 's/^ *//; s/^Collecting/looking for/; s/^Downloading/downloading/; s/-(cp|py)[^ ]*\.whl//' <<<"$last"
    else
        echo "starting"
    fi
}

interrupted() {
    trap - INT TERM HUP
    [[ -z ${child:-} ]] || { kill "$child" 2>/dev/null && wait "$child" 2>/dev/null; } || true
    printf '\n' >&2
    say "interrupted; the same command goes on from here"
    exit 130
}

main() {
    ! is_done || return 0
    # The lock is on a file that is always there, and a pip that outlives its set-up keeps it.
    exec 9<pyproject.toml
    flock -n 9 || { say "another set-up is at work in this folder; waiting for it" && flock 9; }
    ! is_done || return 0
    trap interrupted INT TERM HUP
    local python started=$SECONDS
    python=$(find_python) || [[ -z ${PYTHON:-} ]] || describe_missing_python
    install_debian_packages "$python"
    python=$(find_python) || describe_missing_python
    venv_is_usable || make_venv "$python"
    rm -f $stamp
    install_packages
    key $venv/bin/python >$stamp.new && mv $stamp.new $stamp
    say "done in $((SECONDS - started)) s"
}

child=
main
