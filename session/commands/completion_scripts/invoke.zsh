# Completion of asgibench's ./invoke in zsh, after compinit: source <(./invoke completion zsh)
_asgibench_invoke() {
    local program=@PROGRAM@
    [[ ${words[1]} == */invoke && -x ${words[1]} ]] && program=${words[1]}
    local -a found
    found=("${(@f)$("$program" --complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ ${found[1]} == FILES ]]; then
        _files
    elif [[ -n ${found[1]} ]]; then
        # The space gives way to a comma, after which another name may follow.
        compadd -Q -S ' ' -r ',' -a found
    fi
}
compdef _asgibench_invoke ./invoke invoke @PROGRAM@
