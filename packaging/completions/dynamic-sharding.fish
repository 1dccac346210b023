# Fish completion for dynamic-sharding. Reads commands and flags from the program's --help, so that they match the installed version.

function __dynamic_sharding_command
    set -l before
    for word in (commandline -opc)[2..]
        if not string match -q -- '-*' $word; and not string match -qr -- '^--[^=]*$' "$before"
            echo $word
            return
        end
        set before $word
    end
end

function __dynamic_sharding_words
    set -l chosen (__dynamic_sharding_command)
    set -l help (command dynamic-sharding $chosen --help 2>/dev/null)
    string match -ar -- '(?:^|(?<=\s))--[a-z][a-z.-]*' $help | sort -u
    test -n "$chosen"; and return
    set -l inside 0
    for line in $help
        if string match -qr '^[A-Z].*:$' -- $line
            string match -q 'Commands:' -- $line; and set inside 1; or set inside 0
        else if test $inside = 1
            string match -r '(?<=^  )[a-z][a-z-]*' -- $line
        end
    end
end

# The value of the flag before the word: its own choices, or a file.
function __dynamic_sharding_after
    set -l before (commandline -opc)[-1]
    set -l word (commandline -ct)
    string match -q -- '--*=*' $word; and set before (string split -m 1 = -- $word)[1]
    contains -- $before $argv
end

function __dynamic_sharding_values
    set -l prefix (string match -r '^--[a-z.]+=' -- (commandline -ct))
    printf "$prefix%s\n" $argv
end

set -l valued --config.file --keys.file check-config --log.level --log.format --key
complete -c dynamic-sharding -f -n "not __dynamic_sharding_after $valued" -a '(__dynamic_sharding_words)'
complete -c dynamic-sharding -f -n '__dynamic_sharding_after --log.level' -a '(__dynamic_sharding_values debug info warn error)'
complete -c dynamic-sharding -f -n '__dynamic_sharding_after --log.format' -a '(__dynamic_sharding_values logfmt json)'
complete -c dynamic-sharding -f -n '__dynamic_sharding_after --key' -a '(__dynamic_sharding_values group path)'
complete -c dynamic-sharding -F -n '__dynamic_sharding_after --config.file --keys.file check-config'
