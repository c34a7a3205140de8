/* Describes the packed file on stdout. */
#include "info.h"

#include <errno.h>
#include <stdio.h>

/* Values come from the file and go to a terminal: nothing but printable characters. */
static void print_value(const char *value)
{
	for (; *value; value++)
		putchar((unsigned char)*value < ' ' || *value == 0x7f ? '?' : *value);
}

int info_print(const struct artifact *artifact)
{
	static const char *const names[] = {
		[FORMAT_SECTION_LAUNCHER] = "launcher", [FORMAT_SECTION_KERNEL] = "kernel",
		[FORMAT_SECTION_INITRAMFS] = "initramfs", [FORMAT_SECTION_ROOTFS] = "rootfs",
		[FORMAT_SECTION_CONFIG] = "config",
	};

	printf("format     %d\nsize       %llu bytes\n\nsection          offset         size\n",
	       FORMAT_VERSION, (unsigned long long)artifact->file_size);
	for (int type = FORMAT_SECTION_LAUNCHER; type <= FORMAT_SECTION_CONFIG; type++)
		printf("%-10s %12llu %12llu\n", names[type],
		       (unsigned long long)artifact->sections[type].offset,
		       (unsigned long long)artifact->sections[type].size);
	printf("\n");
	for (const char *record = NULL; (record = artifact_next_record(artifact, record));) {
		print_value(record);
		putchar('\n');
	}
	return fflush(stdout) == 0 ? 0 : -errno;
}
