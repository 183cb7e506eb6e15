# Debian and Ubuntu packages, for scripts/setup.sh. What cannot be installed is named with the command that installs it.

# Off-screen rendering by EGL (and by OSMesa, where there is no EGL), and the libraries that opencv-python loads.
# Names with a bar are the same library in older and newer releases.
readonly rendering="libegl1 libegl-mesa0 libgl1-mesa-dri libgl1 libosmesa6 libglib2.0-0|libglib2.0-0t64"

may_install() {
    [[ -z ${NO_APT:-} ]] && command -v apt-get >/dev/null && { ((EUID == 0)) || sudo -n true 2>/dev/null; }
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

as_root_text() {
    ((EUID == 0)) || printf 'sudo '
}

is_installed() {
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# "python3.12-venv" for a system interpreter of version 3.12.
venv_package() {
    "$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
}

# The wanted packages that are not there, given an interpreter or nothing, one to a line.
missing_packages() {
    local python=$1 names name present
    command -v make >/dev/null || echo make
    if [[ -z $python ]]; then
        echo python3-venv
    elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        venv_package "$python"
    fi
    for names in $rendering; do
        present=
        for name in ${names//|/ }; do is_installed "$name" && present=yes; done
        [[ -n $present ]] || echo "${names%%|*}"
    done
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 "$@" </dev/null
}

# The packages by the names that apt knows them by; one unknown name would stop the installation of all the others.
known_packages() {
    local name
    for name in "$@"; do
        apt-cache pkgnames "$name" 2>/dev/null | grep -m 1 -xE "${name//./\\.}(t64)?" || true
    done
}

apt_install() {
    # An interrupted dpkg refuses all further work until it is told to finish.
    [[ -z $(ls -A /var/lib/dpkg/updates 2>/dev/null) ]] || as_root dpkg --configure -a || return 1
    [[ $(known_packages "$@" | wc -l) == $# ]] || apt_get update || return 1
    local known
    mapfile -t known < <(known_packages "$@")
    ((${#known[@]})) || return 1
    # Lists that are there may be too old for the archive.
    apt_get install --no-install-recommends "${known[@]}" ||
        { apt_get update && apt_get install --no-install-recommends "${known[@]}"; }
}

# Installs what is missing, or says how to; never stops the set-up, which knows best what it cannot do without.
install_debian_packages() {
    local missing known output
    if ! command -v dpkg-query >/dev/null; then
        say "no Debian: rendering (videos) needs the EGL or OSMesa libraries of this system"
        return 0
    fi
    mapfile -t missing < <(missing_packages "$1")
    ((${#missing[@]})) || return 0
    if may_install; then
        say "installing Debian packages: ${missing[*]}"
        output=$(apt_install "${missing[@]}" 2>&1) || printf '%s\n' "$output" | tail -n 8 >&2
        mapfile -t missing < <(missing_packages "$1")
        ((${#missing[@]})) || return 0
    fi
    # Some releases have no OSMesa any more; EGL alone will do there.
    mapfile -t known < <(known_packages "${missing[@]}")
    [[ -z $(known_packages libc6) ]] || missing=("${known[@]}")
    ((${#missing[@]})) || return 0
    say "going on without these Debian packages (rendering, and so videos, may need them); to install them:"
    say "    $(as_root_text)apt-get install ${missing[*]}"
}
