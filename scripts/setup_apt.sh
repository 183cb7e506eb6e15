# Debian and Ubuntu packages, for scripts/setup.sh. What cannot be installed is named with the command that installs it.

# In which the tests open a session's pages, without a window.
readonly browser=chromium

# Off-screen rendering by EGL (and by OSMesa, where there is no EGL), and the libraries that opencv-python loads.
# Names with a bar are the same library in older and newer releases.
readonly rendering="libegl1 libegl-mesa0 libgl1-mesa-dri libgl1 libosmesa6 libglib2.0-0|libglib2.0-0t64"

# ManiSkill's simulator wants a Vulkan device: without a GPU that is Mesa's lavapipe, which can share memory with it from
# this release on. Debian 12's own is older; the one in its backports will do.
readonly vulkan="mesa-vulkan-drivers libvulkan1" oldest_mesa=24

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
    install_rendering "$1"
    ! command -v dpkg-query >/dev/null || { install_vulkan; install_browser; }
}

install_rendering() {
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

install_browser() {
    local output
    ! is_installed $browser || return 0
    if may_install; then
        say "installing Debian packages: $browser"
        output=$(apt_install $browser 2>&1) || printf '%s\n' "$output" | tail -n 8 >&2
        ! is_installed $browser || return 0
    fi
    say "going on without $browser (the tests of a session's pages are skipped without it); to install it:"
    say "    $(as_root_text)apt-get install $browser"
}

has_vulkan() {
    is_installed libvulkan1 && is_recent "$(dpkg-query -W -f='${Version}' mesa-vulkan-drivers 2>/dev/null)"
}

is_recent() {
    [[ -n $1 ]] && dpkg --compare-versions "$1" ge $oldest_mesa
}

# Adds the backports of this release for these two commands alone: the system's list of sources stays as it is.
install_from_backports() {
    local release archive sources
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    archive=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
        awk -v release="$release" '$2 == release { print $1; exit }')
    [[ -n $archive ]] || { echo "found no archive of '$release' among the sources of apt" && return 1; }
    sources=$(mktemp -d) && chmod 755 "$sources"
    cp -r /etc/apt/sources.list.d/. "$sources"
    printf 'Types: deb\nURIs: %s\nSuites: %s-backports\nComponents: main\n' "$archive" "$release" >"$sources/ours.sources"
    [[ ! -f /usr/share/keyrings/debian-archive-keyring.gpg ]] ||
        echo 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' >>"$sources/ours.sources"
    local status=0
    apt_get -o Dir::Etc::SourceParts="$sources" update &&
        apt_get -o Dir::Etc::SourceParts="$sources" install --no-install-recommends -t "$release-backports" "$@" ||
        status=$?
    rm -rf "$sources"
    return $status
}

install_vulkan() {
    local output candidate suite=
    ! has_vulkan || return 0
    if may_install; then
        say "installing Debian packages: $vulkan"
        candidate=$(candidate_of mesa-vulkan-drivers)
        [[ -n $candidate ]] || { apt_get update >/dev/null 2>&1 && candidate=$(candidate_of mesa-vulkan-drivers); } || true
        if is_recent "$candidate"; then
            output=$(apt_install $vulkan 2>&1) || printf '%s\n' "$output" | tail -n 8 >&2
        else
            output=$(install_from_backports $vulkan 2>&1) || printf '%s\n' "$output" | tail -n 8 >&2
        fi
        ! has_vulkan || return 0
    fi
    [[ $(. /etc/os-release && echo "${VERSION_CODENAME:-}") != bookworm ]] || suite="-t bookworm-backports "
    say "going on without Vulkan (pictures of ManiSkill's tasks need it; they run without); to install it:"
    say "    $(as_root_text)apt-get install $suite$vulkan"
}

# The version that apt would install by itself; nothing where it knows none.
candidate_of() {
    apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'
}
