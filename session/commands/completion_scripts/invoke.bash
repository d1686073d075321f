# Completion of asgibench's ./invoke in bash 3.2 and newer: source <(./invoke completion bash)
_asgibench_invoke() {
    local program=@PROGRAM@ line last
    local -a words
    # Bash breaks words at "=" and ":" as well; what was typed is put together again.
    words=()
    read -r -a words <<<"${COMP_LINE:0:COMP_POINT}"
    [[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && words+=("")
    # Only a checkout's own program is called: any other "invoke" completes as it did.
    [[ ${words[0]} == */invoke && -x ${words[0]} ]] && program=${words[0]}
    last=${words[${#words[@]} - 1]}
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == FILES ]]; then
            compopt -o filenames 2>/dev/null
            while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$2")
            return
        fi
        # What stands before the last "=" or ":" is not replaced by bash.
        [[ $last == *[=:]* && $line == "${last%"${last##*[=:]}"}"* ]] && line=${line#"${last%"${last##*[=:]}"}"}
        COMPREPLY+=("$line")
    done < <("$program" --complete "${words[@]:1}" 2>/dev/null)
}
complete -F _asgibench_invoke ./invoke @PROGRAM@
