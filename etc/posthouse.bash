# Completion of the posthouse command for bash.

_posthouse_parameters() {
	posthouse config "${config[@]}" -d 2>/dev/null | sed -n "s/^\([a-z0-9_]*\) =.*/\1$1/p"
}

_posthouse_queue_ids() {
	posthouse queue list "${config[@]}" -j 2>/dev/null | sed -n 's/.*"queue_id": *"\([0-9A-F]*\)".*/\1/p'
}

_posthouse() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]-}
	local config=() i
	COMPREPLY=()
	for ((i = 2; i < COMP_CWORD - 1; i++)); do
		[ "${COMP_WORDS[i]}" != -c ] || config=(-c "${COMP_WORDS[i+1]}")
	done
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W 'check config map module queue reload start status stop verify help --version' -- "$word")
		return
	fi
	case $before in
	-c | -r) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
	esac
	case $command in
	config)
		# In "config -e", what follows is NAME=VALUE.
		if [[ " ${COMP_WORDS[*]:2:COMP_CWORD-2} " == *" -e "* ]]; then
			compopt -o nospace 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -W "$(_posthouse_parameters =)" -- "$word")
		elif [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W '-c -d -e -h -j -n -x' -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -W "$(_posthouse_parameters)" -- "$word")
		fi
		;;
	map)
		if [ "$COMP_CWORD" = 2 ]; then
			mapfile -t COMPREPLY < <(compgen -W 'build query dump' -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
		fi
		;;
	module)
		if [ "$COMP_CWORD" = 2 ]; then
			mapfile -t COMPREPLY < <(compgen -W 'list info' -- "$word")
		elif [ "${COMP_WORDS[2]}" = info ]; then
			mapfile -t COMPREPLY < <(compgen -W \
				"$(posthouse module list "${config[@]}" 2>/dev/null | sed 's/ .*//')" -- "$word")
		fi
		;;
	queue)
		if [ "$COMP_CWORD" = 2 ]; then
			mapfile -t COMPREPLY < <(compgen -W 'list flush show delete hold release requeue' -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -W "$(_posthouse_queue_ids)" -- "$word")
		fi
		;;
	verify)
		if [ "$COMP_CWORD" = 2 ]; then
			mapfile -t COMPREPLY < <(compgen -W 'list delete' -- "$word")
		fi
		;;
	esac
}

complete -F _posthouse posthouse
