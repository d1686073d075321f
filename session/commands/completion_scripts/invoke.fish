# Completion of asgibench's ./invoke in fish: ./invoke completion fish | source
function __asgibench_invoke
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -l program @PROGRAM@
    if string match -q '*/invoke' -- $words[1]; and test -x $words[1]
        set program $words[1]
    end
    set -l last (commandline --cut-at-cursor --current-token)
    set -l found ($program --complete $words[2..] "$last" 2>/dev/null)
    if test "$found[1]" = FILES
        __fish_complete_path "$last"
    else
        string join \n -- $found
    end
end
complete --command invoke --no-files --arguments '(__asgibench_invoke)'
