# The longest words of standard input, each once; the environment's WORDS says how many.
{
	gsub(/[^[:alpha:]]+/, " ")
	for (at = 1; at <= NF; at++)
		longest[$at] = length($at)
}
END {
	while (printed++ < ENVIRON["WORDS"]) {
		best = ""
		for (word in longest)
			if (longest[word] > longest[best] || (longest[word] == longest[best] && word < best))
				best = word
		print best
		delete longest[best]
	}
}
