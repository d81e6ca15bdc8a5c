# shellcheck shell=bash
# Messages, commands, locks, settings: what the stages are built on.

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# A line on the screen and, in a stage that has one, in its log.
say() {
    printf '%s\n' "$*"
    [[ -z $LOG ]] || printf '%s\n' "$*" >>"$LOG"
}

contains() {
    local wanted=$1 item
    shift
    for item; do [[ $item != "$wanted" ]] || return 0; done
    return 1
}

cpu_count() { getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1; }

# The words as they could be typed.
quoted() {
    local word text=
    for word; do
        [[ $word =~ ^[A-Za-z0-9_@%+=:,./-]+$ ]] || printf -v word %q "$word"
        text+=" $word"
    done
    printf '%s' "${text:1}"
}

# Print a command, then run it with its output on the screen and in the log. Prints only under --dry-run.
run() {
    say "+ $(quoted "$@")"
    ((!DRY_RUN)) || return 0
    "$@" 2>&1 | tee -i -a "$LOG" || die "the stage stopped at the command above; its output is also in $LOG"
}

# step FILE… -- COMMAND…: run a command that makes these files, unless all are there. The command itself must write to
# temporary names and rename.
step() {
    local outputs=()
    while [[ $1 != -- ]]; do
        outputs+=("$1")
        shift
    done
    shift
    all_exist "${outputs[@]}" || run "$@"
}

all_exist() {
    local file
    for file; do [[ -e $file ]] || return 1; done
}

# open_log FOLDER STAGE: from here on, what say and run print also goes to FOLDER/STAGE.log.
open_log() {
    say "== $2"
    ((!DRY_RUN)) || return 0
    make_folder "$1"
    LOG=$1/$2.log
    ((!NODE_RANK)) || LOG=$1/$2.node$NODE_RANK.log
    printf '\n== %s %s %s\n' "$2" "$(date '+%Y-%m-%d %H:%M:%S')" "$COMMAND" >>"$LOG"
}

close_log() { LOG=; }

make_folder() {
    ((!DRY_RUN)) || return 0
    mkdir -p "$1" 2>/dev/null && [[ -w $1 ]] || die "cannot write to the folder $1: set WORK to a folder of your own"
}

# need_space MEGABYTES: refuse to begin what would fill the disk.
need_space() {
    local free folder=$WORK needed=${FREE_MB:-$1}
    ((!DRY_RUN)) || return 0
    while [[ ! -d $folder ]]; do folder=$(dirname "$folder"); done
    free=$(df -Pm "$folder" | awk 'NR == 2 {print $4}')
    ((free >= needed)) || die "$folder has $free MB free, this stage needs about $needed MB: make room, set WORK to a" \
        "folder on another disk, or FREE_MB to a smaller number if you know better"
}

# need FILE STAGE: an output of an earlier stage.
need() { ((DRY_RUN)) || [[ -e $1 ]] || die "$1 is missing: run the stage $2 first"; }

# lock FILE: of the runs that work in one folder, one stage at a time; the others wait. Held until the end of the stage,
# also by a command that outlives a killed recipe.
lock() {
    ((!DRY_RUN)) || return 0
    make_folder "$(dirname "$1")"
    exec 9>>"$1"
    take_lock LOCK_NB 2>/dev/null || {
        say "waiting for another run that works in $(dirname "$1")"
        take_lock LOCK_EX
    }
}

# Python's, since not every system has the command flock. The lock is the open file's, and stays when Python ends.
take_lock() { "$PYTHON" -c "import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.$1)"; }

unlock() { exec 9>&-; }

# settle FILE TEXT: settings that made the outputs beside FILE; others than before would mix two things, so refuse.
settle() {
    if [[ -e $1 ]]; then
        [[ $(<"$1") == "$2" ]] || die "$(dirname "$1") was made with other settings:
$(diff <(printf '%s\n' "$(<"$1")") <(printf '%s\n' "$2") | sed -n 's/^</  then:/p; s/^>/  now: /p')
Set WORK (or RUN, for training) to another name, or remove that folder."
    elif ((!DRY_RUN)); then
        make_folder "$(dirname "$1")"
        printf '%s\n' "$2" >"$1.$NODE_RANK.$$.tmp" # several nodes and runs may come here at once
        mv -f "$1.$NODE_RANK.$$.tmp" "$1"
    fi
}

# contents NAME FILE…: a line that changes with what is in the files, not with their dates, which a copy of WORK changes.
contents() { printf 'contents of %s=%s\n' "$1" "$(cat "${@:2}" | cksum | tr ' ' -)"; }

# settings NAME…: variables as lines NAME=value.
settings() {
    local name
    for name; do printf '%s=%s\n' "$name" "${!name}"; done
}

# The command as typed, with the variables that were set for it, for logs and results.
remember_command() {
    local name words=()
    for name in "${VARIABLES[@]}"; do
        ! printenv "$name" >/dev/null || words+=("$name=$(quoted "${!name}")")
    done
    COMMAND="${words[*]-}${words[*]:+ }$(quoted bash "${RECIPE_SCRIPT#"$REPO"/}" "$@")"
}

# Variables of the environment that are one letter off one of the recipe's, and so change nothing. Only of the longer
# ones: names like RUN are one letter from many that have nothing to do with a recipe.
warn_of_misspelt_variables() {
    local name known all=("${VARIABLES[@]}" NODE_RANK MASTER_ADDR MASTER_PORT)
    while read -r name; do
        ! contains "$name" "${all[@]}" || continue
        for known in "${all[@]}"; do
            [[ $known != *_* && ${#known} -lt 8 ]] || ! one_letter_off "$known" "$name" ||
                echo "warning: the recipes have no variable $name; is $known meant?" >&2
        done
    done < <(awk 'BEGIN {for (name in ENVIRON) print name}')
}

# one_letter_off WORD OTHER: whether OTHER is WORD with one letter missing, replaced, added, or swapped with the next.
one_letter_off() {
    local word=$1 other=$2 i
    ((${#word} - ${#other} <= 1 && ${#other} - ${#word} <= 1)) || return 1
    for ((i = 0; i <= ${#word}; i++)); do
        case $other in
            "${word:0:i}${word:i+1}" | "${word:0:i}"?"${word:i+1}" | "${word:0:i}"?"${word:i}" | \
                "${word:0:i}${word:i+1:1}${word:i:1}${word:i+2}") return 0 ;;
        esac
    done
    return 1
}

# Python and its packages, asked for once, before anything else.
require_python() {
    command -v "$PYTHON" >/dev/null || die "PYTHON=$PYTHON is no command: set PYTHON to a Python with the plugin installed"
    ((DRY_RUN)) && return 0
    "$PYTHON" - <<'END' || die "PYTHON=$PYTHON: install the plugin as README.md says, or set PYTHON to" \
        "the Python that it is installed in"
import importlib.util, sys
missing = [name for name in ("fairseq", "sacremoses", "subword_nmt", "sacrebleu") if not importlib.util.find_spec(name)]
sys.exit(f"missing Python packages: {', '.join(missing)}" if missing else 0)
END
}
