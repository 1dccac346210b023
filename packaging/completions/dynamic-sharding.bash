# Bash completion for dynamic-sharding. Reads commands and flags from the program's --help, so that they match the installed version.

_dynamic_sharding() {
    local program=$1 word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=() help flags commands i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            -* | =) ;;
            *) case ${COMP_WORDS[i - 1]} in
                -* | =) ;; # a flag's value
                *) command+=("${COMP_WORDS[i]}"); [[ ${command[0]} == groups && ${#command[@]} == 1 ]] || break ;;
            esac ;;
        esac
    done

    # --flag=value is three words here.
    if [[ $word == = ]]; then
        word=''
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi

    case $before in
        --config.file | --keys.file | check-config) mapfile -t COMPREPLY < <(compgen -f -- "$word"); compopt -o filenames 2>/dev/null; return ;;
        --log.level) mapfile -t COMPREPLY < <(compgen -W 'debug info warn error' -- "$word"); return ;;
        --log.format) mapfile -t COMPREPLY < <(compgen -W 'logfmt json' -- "$word"); return ;;
        --key) mapfile -t COMPREPLY < <(compgen -W 'group path' -- "$word"); return ;;
    esac

    help=$("$program" "${command[@]}" --help 2>/dev/null) || return
    flags=$(grep -oE '(^|[[:space:]])--[a-z][a-z.-]*' <<<"$help")
    commands=''
    if ((${#command[@]} == 0)) || [[ ${command[*]} == groups ]]; then
        commands=$(awk '/^[A-Z].*:$/ { inside = /^Commands:/; next } inside && /^  [a-z]/ { print $1 }' <<<"$help")
    fi
    mapfile -t COMPREPLY < <(compgen -W "$flags $commands" -- "$word")
}

complete -F _dynamic_sharding dynamic-sharding
