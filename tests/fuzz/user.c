// sources: guest/user.c guest/lines.c guest/error.c
/* An image's /etc/passwd and /etc/group, and who is looked for in them. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../guest/user.h"
#include "fuzz.h"

#define SEPARATOR	0xff	/* between the user, one file and the other */

/* Makes @file hold what stands before the next separator. Return: its size. */
static size_t fill(int file, const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, SEPARATOR, size);
	size_t taken = end ? (size_t)(end - data) : size;

	MUST(ftruncate(file, 0) == 0 && pwrite(file, data, taken, 0) == (ssize_t)taken &&
	     lseek(file, 0, SEEK_SET) == 0);
	return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct identity identity;
	static char wanted[65536];
	static int passwd = -1, group = -1;
	struct error error = { 0 };

	if (passwd < 0) {
		passwd = memfd_create("passwd", MFD_CLOEXEC);
		group = memfd_create("group", MFD_CLOEXEC);
	}
	if (size >= sizeof(wanted))
		return 0;

	const uint8_t *end = memchr(data, SEPARATOR, size);
	size_t length = end ? (size_t)(end - data) : size;

	memcpy(wanted, data, length);
	wanted[length] = '\0';
	data += length + !!end;
	size -= length + !!end;

	size_t taken = fill(passwd, data, size);

	taken += taken < size;
	fill(group, data + taken, size - taken);
	if (user_resolve(wanted, passwd, group, &identity, &error) == 0) {
		MUST(identity.uid != UINT32_MAX && identity.gid != UINT32_MAX);
		MUST(identity.group_count <= USER_MAX_GROUPS);
		MUST(*identity.home && strlen(identity.home) < sizeof(identity.home));
		MUST(!strchr(identity.home, '\n') && !strchr(identity.home, ':'));
		for (size_t i = 0; i < identity.group_count; i++)
			MUST(identity.groups[i] != UINT32_MAX);
	} else {
		MUST(error.status == ERROR_MACHINE && *error.text && !strchr(error.text, '\n'));
	}
	return 0;
}
