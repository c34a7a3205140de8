// sources: stub/mem.c stub/virtio/queue.c stub/virtio/vhost_user.c stub/virtio/vhost_user_wire.c stub/host/linux_loop.c
/* The vhost-user transport, driven by a small front end: honest first, then hostile. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "fake_driver.h"
#include "virtio/vhost_user.h"

#define GET_FEATURES		1
#define SET_FEATURES		2
#define SET_OWNER		3
#define SET_MEM_TABLE		5
#define SET_VRING_NUM		8
#define SET_VRING_ADDR		9
#define SET_VRING_BASE		10
#define GET_VRING_BASE		11
#define SET_VRING_KICK		12
#define SET_VRING_CALL		13
#define SET_VRING_ERR		14
#define GET_PROTOCOL_FEATURES	15
#define SET_PROTOCOL_FEATURES	16
#define SET_VRING_ENABLE	18
#define GET_CONFIG		24
#define SET_CONFIG		25

#define VERSION			1u
#define IS_REPLY		4u
#define HEADER_SIZE		12u
#define NO_FD			0x100u
#define MAX_SENT_FDS		9

#define F_OWN			(1ull << 5)
#define F_PROTOCOL_FEATURES	(1ull << 30)
#define PROTOCOL_F_CONFIG	(1ull << 9)

#define QUEUES			2
#define SIZE			8
#define USER			0x7f0000000000ull	/* where the front end says it has RAM mapped */
#define TO_USER(gpa)		((gpa) - DRIVER_RAM_GPA + USER)

static struct fake_driver driver;
static struct loop loop;
static struct virtio_device device;
static struct vhost_user transport;
static int front;		/* the front end's end of the socket */
static int kick_fd, call_fd;
static unsigned resets, closings;
static int closing_error;

/* The device under the transport: gives every request back, filled to its size. */
static void notify(struct virtio_device *served, unsigned index)
{
	static struct virtq_chain chain;

	while (virtqueue_pop(&served->queues[index], &chain) > 0)
		virtqueue_push(&served->queues[index], chain.head, (uint32_t)chain.in_size);
	virtio_flush(served, index);
}

static void reset(struct virtio_device *served)
{
	(void)served;
	resets++;
}

static const uint8_t config[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static const struct virtio_class class = {
	.name = "test",
	.id = 99,
	.features = F_OWN,
	.queue_count = QUEUES,
	.config_size = sizeof(config),
	.notify = notify,
	.reset = reset,
};

static void closed(struct vhost_user *closing, int error)
{
	(void)closing;
	closings++;
	closing_error = error;
}

static unsigned open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void open_transport(void)
{
	int sockets[2];

	driver_open(&driver, SIZE);
	resets = closings = 0;
	device = (struct virtio_device){ .class = &class, .config = config };
	transport = (struct vhost_user){ .closed = closed };
	kick_fd = eventfd(0, EFD_NONBLOCK);
	call_fd = eventfd(0, EFD_NONBLOCK);
	CHECK_INT(loop_init(&loop), 0);
	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	front = sockets[0];
	CHECK_INT(vhost_user_open(&transport, &device, &driver.memory, &loop, sockets[1]), 0);
}

static void close_transport(void)
{
	if (!closings)
		vhost_user_close(&transport);
	close(front);
	close(kick_fd);
	close(call_fd);
	close(loop.poll_fd);
	close(loop.wake_fd);
	driver_close(&driver);
}

static void stop(struct loop_source *source, unsigned events)
{
	(void)events;
	loop_stop(source->context);
}

/* Let the loop work until nothing is left to do. */
static void pump(void)
{
	struct loop_source stopper = { .fd = eventfd(1, 0), .ready = stop, .context = &loop };
	struct pollfd work = { .fd = loop.poll_fd, .events = POLLIN };

	while (poll(&work, 1, 0) > 0) {
		loop.stopped = false;
		loop_add(&loop, &stopper, LOOP_READ);
		loop_run(&loop);
		loop_remove(&loop, &stopper);
	}
	close(stopper.fd);
}

static void send_bytes(const void *bytes, size_t size, const int *fds, unsigned fd_count)
{
	union {
		struct cmsghdr	align;
		char		bytes[CMSG_SPACE(MAX_SENT_FDS * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, size };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd_count) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *part = CMSG_FIRSTHDR(&header);

		part->cmsg_level = SOL_SOCKET;
		part->cmsg_type = SCM_RIGHTS;
		part->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(part), fds, fd_count * sizeof(int));
	}
	CHECK_INT(sendmsg(front, &header, MSG_NOSIGNAL), size);
}

static struct vhost_user_message make(uint32_t request, uint32_t size)
{
	return (struct vhost_user_message){ .request = request, .flags = VERSION, .size = size };
}

static void send_message(const struct vhost_user_message *message, const int *fds,
			 unsigned fd_count)
{
	send_bytes(message, HEADER_SIZE + message->size, fds, fd_count);
	pump();
}

static void send_u64(uint32_t request, uint64_t value, int fd)
{
	struct vhost_user_message message = make(request, 8);

	message.payload.u64 = value;
	send_message(&message, &fd, fd >= 0);
}

static void send_vring(uint32_t request, uint32_t index, uint32_t value)
{
	struct vhost_user_message message = make(request, 8);

	message.payload.vring.index = index;
	message.payload.vring.value = value;
	send_message(&message, NULL, 0);
}

static void send_rings(uint32_t index, uint64_t desc, uint64_t avail, uint64_t used)
{
	struct vhost_user_message message = make(SET_VRING_ADDR, 40);

	message.payload.rings.index = index;
	message.payload.rings.desc = desc;
	message.payload.rings.avail = avail;
	message.payload.rings.used = used;
	send_message(&message, NULL, 0);
}

static void send_region(struct vhost_user_region region)
{
	struct vhost_user_message message = make(SET_MEM_TABLE, 8 + 32);

	message.payload.memory.count = 1;
	message.payload.memory.regions[0] = region;
	send_message(&message, &kick_fd, 1);	/* any descriptor will do */
}

static const struct vhost_user_region all_ram = {
	.gpa = DRIVER_RAM_GPA, .size = DRIVER_RAM_SIZE, .user = USER,
};

/* Return: the answer to the last message; size 0 and request 0 when there is none. */
static struct vhost_user_message answer(void)
{
	struct vhost_user_message message = { 0 };
	ssize_t got = recv(front, &message, sizeof(message), MSG_DONTWAIT);

	if (got > 0) {
		CHECK_INT(got, HEADER_SIZE + message.size);
		CHECK_INT(message.flags, VERSION | IS_REPLY);
	}
	return message;
}

static uint64_t ask_u64(uint32_t request)
{
	struct vhost_user_message message = make(request, 0);

	send_message(&message, NULL, 0);
	message = answer();
	CHECK_INT(message.request, request);
	CHECK_INT(message.size, 8);
	return message.payload.u64;
}

/* All that QEMU sends for one ring, up to but not including ENABLE. */
static void set_up_ring(uint64_t features, uint16_t base)
{
	send_u64(SET_FEATURES, features, -1);
	send_region(all_ram);
	send_vring(SET_VRING_NUM, 0, SIZE);
	send_vring(SET_VRING_BASE, 0, base);
	send_rings(0, TO_USER(DRIVER_DESC), TO_USER(DRIVER_AVAIL), TO_USER(DRIVER_USED));
	send_u64(SET_VRING_KICK, 0, kick_fd);
	send_u64(SET_VRING_CALL, 0, call_fd);
}

static void submit_and_kick(uint32_t length)
{
	driver_describe(&driver, 0, DRIVER_BUFFERS, length, DESC_WRITE, 0);
	driver_submit(&driver, 0);
	eventfd_write(kick_fd, 1);
	pump();
}

static bool was_served(uint32_t length)
{
	struct driver_used element;

	return driver_collect(&driver, &element) && element.length == length;
}

static bool was_interrupted(void)
{
	eventfd_t count;

	return eventfd_read(call_fd, &count) == 0;
}

static void test_features(void)
{
	open_transport();
	CHECK_INT(ask_u64(GET_FEATURES), F_OWN | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1 |
					 F_PROTOCOL_FEATURES);
	CHECK_INT(ask_u64(GET_PROTOCOL_FEATURES), PROTOCOL_F_CONFIG);
	send_u64(SET_PROTOCOL_FEATURES, PROTOCOL_F_CONFIG, -1);
	send_u64(SET_FEATURES, F_OWN | VIRTIO_F_VERSION_1 | F_PROTOCOL_FEATURES, -1);
	CHECK_INT(device.driver_features, F_OWN | VIRTIO_F_VERSION_1);
	CHECK_INT(closings, 0);
	close_transport();
}

static struct vhost_user_message ask_config(uint32_t offset, uint32_t size)
{
	struct vhost_user_message message = make(GET_CONFIG, 12 + size);

	message.payload.config.offset = offset;
	message.payload.config.size = size;
	memset(message.payload.config.bytes, 0xff, size);
	send_message(&message, NULL, 0);
	return answer();
}

static void test_config(void)
{
	static const uint8_t padded[12] = { 5, 6, 7, 8 };
	struct vhost_user_message message;

	open_transport();
	message = ask_config(0, sizeof(config));
	CHECK_INT(message.size, 12 + sizeof(config));
	CHECK_MEM(message.payload.config.bytes, config, sizeof(config));
	message = ask_config(4, sizeof(padded));
	CHECK_INT(message.size, 12 + sizeof(padded));
	CHECK_MEM(message.payload.config.bytes, padded, sizeof(padded));
	message = ask_config(UINT32_MAX, 4);
	CHECK_INT(message.size, 16);
	CHECK_MEM(message.payload.config.bytes, "\0\0\0\0", 4);
	/* What a driver writes there is no reason to stop. */
	message.request = SET_CONFIG;
	message.flags = VERSION;
	send_message(&message, NULL, 0);
	CHECK_INT(closings, 0);
	close_transport();
}

static void test_requests_are_served(void)
{
	open_transport();
	set_up_ring(VIRTIO_F_VERSION_1 | F_PROTOCOL_FEATURES, 0);
	send_vring(SET_VRING_ENABLE, 0, 1);
	submit_and_kick(100);
	CHECK(was_served(100));
	CHECK(was_interrupted());
	driver_avail(&driver)[0] = 1;	/* no interrupts, please */
	submit_and_kick(50);
	CHECK(was_served(50));
	CHECK(!was_interrupted());
	CHECK_INT(closings, 0);
	close_transport();
}

static void test_event_index_is_negotiated(void)
{
	open_transport();
	set_up_ring(VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | F_PROTOCOL_FEATURES, 0);
	send_vring(SET_VRING_ENABLE, 0, 1);
	*driver_used_event(&driver) = 1;
	submit_and_kick(1);
	CHECK(!was_interrupted());
	submit_and_kick(1);
	CHECK(was_interrupted());
	CHECK_INT(*driver_avail_event(&driver), 2);
	close_transport();
}

static void test_nothing_runs_before_enable(void)
{
	open_transport();
	set_up_ring(VIRTIO_F_VERSION_1 | F_PROTOCOL_FEATURES, 0);
	submit_and_kick(10);
	CHECK(!was_served(10));
	send_vring(SET_VRING_ENABLE, 0, 1);	/* serves what has been waiting */
	CHECK(was_served(10));
	send_vring(SET_VRING_ENABLE, 0, 0);
	submit_and_kick(20);
	CHECK(!was_served(20));
	send_vring(SET_VRING_ENABLE, 0, 1);
	CHECK(was_served(20));
	close_transport();
}

static void test_old_front_ends_know_no_enable(void)
{
	open_transport();
	set_up_ring(VIRTIO_F_VERSION_1, 0);
	submit_and_kick(10);
	CHECK(was_served(10));
	close_transport();
}

static void test_stop_and_start_again(void)
{
	struct vhost_user_message message;

	open_transport();
	unsigned before = resets;

	driver.submitted = driver.seen = UINT16_MAX;
	driver_avail(&driver)[1] = driver_used(&driver)[1] = UINT16_MAX;
	set_up_ring(VIRTIO_F_VERSION_1 | F_PROTOCOL_FEATURES, UINT16_MAX);
	send_vring(SET_VRING_ENABLE, 0, 1);
	submit_and_kick(10);
	CHECK(was_served(10));
	CHECK_INT(resets, before);
	send_vring(GET_VRING_BASE, 0, 0);
	message = answer();
	CHECK_INT(message.size, 8);
	CHECK_INT(message.payload.vring.index, 0);
	CHECK_INT(message.payload.vring.value, 0);
	CHECK_INT(resets, before + 1);
	submit_and_kick(20);
	CHECK(!was_served(20));
	set_up_ring(VIRTIO_F_VERSION_1 | F_PROTOCOL_FEATURES, 0);
	send_vring(SET_VRING_ENABLE, 0, 1);
	CHECK(was_served(20));
	CHECK_INT(closings, 0);
	close_transport();
}

static void test_message_in_pieces(void)
{
	struct vhost_user_message message = make(SET_VRING_CALL, 8);
	const char *bytes = (const char *)&message;

	open_transport();
	for (unsigned i = 0; i < HEADER_SIZE + message.size; i++) {
		send_bytes(bytes + i, 1, &call_fd, i == 0);
		pump();
	}
	CHECK_INT(closings, 0);
	CHECK(transport.rings[0].call_fd >= 0);
	close_transport();
}

static void test_messages_at_once(void)
{
	struct vhost_user_message messages[2] = { make(SET_OWNER, 0), make(GET_FEATURES, 0) };
	char bytes[2 * HEADER_SIZE];

	open_transport();
	memcpy(bytes, &messages[0], HEADER_SIZE);
	memcpy(bytes + HEADER_SIZE, &messages[1], HEADER_SIZE);
	send_bytes(bytes, sizeof(bytes), NULL, 0);
	pump();
	CHECK_INT(answer().request, GET_FEATURES);
	close_transport();
}

static void test_front_end_goes_away(void)
{
	open_transport();
	set_up_ring(VIRTIO_F_VERSION_1, 0);
	shutdown(front, SHUT_RDWR);
	pump();
	CHECK_INT(closings, 1);
	CHECK_INT(closing_error, 0);
	close_transport();
}

static void test_front_end_goes_away_within_a_message(void)
{
	struct vhost_user_message message = make(SET_VRING_KICK, 8);

	open_transport();
	send_bytes(&message, HEADER_SIZE + 3, &kick_fd, 1);
	shutdown(front, SHUT_RDWR);
	pump();
	CHECK_INT(closings, 1);
	close_transport();
}

/* What a hostile front end may send, each to a transport of its own. */

static void bad_version(void)
{
	struct vhost_user_message message = make(GET_FEATURES, 0);

	message.flags = 2;
	send_message(&message, NULL, 0);
}

static void bad_reply(void)
{
	struct vhost_user_message message = make(GET_FEATURES, 0);

	message.flags |= IS_REPLY;
	send_message(&message, NULL, 0);
}

static void unknown_request(void)
{
	struct vhost_user_message message = make(SET_CONFIG + 1, 0);

	send_message(&message, NULL, 0);
}

static void hole_in_requests(void)
{
	struct vhost_user_message message = make(4, 0);

	send_message(&message, NULL, 0);
}

static void huge_request(void)
{
	struct vhost_user_message message = make(UINT32_MAX, 0);

	send_message(&message, NULL, 0);
}

static void huge_size(void)
{
	struct vhost_user_message message = make(GET_CONFIG, UINT32_MAX);

	send_bytes(&message, sizeof(message), NULL, 0);
	pump();
}

static void short_payload(void)
{
	struct vhost_user_message message = make(SET_FEATURES, 7);

	send_message(&message, NULL, 0);
}

static void long_payload(void)
{
	struct vhost_user_message message = make(SET_FEATURES, 9);

	send_message(&message, NULL, 0);
}

static void features_not_offered(void)
{
	send_u64(SET_FEATURES, 1ull << 28, -1);
}

static void protocol_features_not_offered(void)
{
	send_u64(SET_PROTOCOL_FEATURES, 1, -1);
}

static void descriptor_with_a_plain_message(void)
{
	send_u64(SET_FEATURES, 0, call_fd);
}

static void too_many_descriptors(void)
{
	int fds[MAX_SENT_FDS];
	struct vhost_user_message message = make(SET_MEM_TABLE, 8);

	for (unsigned i = 0; i < MAX_SENT_FDS; i++)
		fds[i] = call_fd;
	send_message(&message, fds, MAX_SENT_FDS);
}

static void descriptors_pile_up(void)
{
	struct vhost_user_message message = make(SET_VRING_KICK, 8);
	const char *bytes = (const char *)&message;

	for (unsigned i = 0; i < HEADER_SIZE; i++)
		send_bytes(bytes + i, 1, &call_fd, 1);
	pump();
}

static void two_kicks(void)
{
	struct vhost_user_message message = make(SET_VRING_KICK, 8);
	const int fds[2] = { kick_fd, call_fd };

	send_message(&message, fds, 2);
}

static void kick_without_descriptor(void)
{
	send_u64(SET_VRING_KICK, 0, -1);
}

static void descriptor_announced_as_missing(void)
{
	send_u64(SET_VRING_CALL, NO_FD, call_fd);
}

static void kick_of_no_ring(void)
{
	send_u64(SET_VRING_KICK, QUEUES, kick_fd);
}

static void call_with_stray_bits(void)
{
	send_u64(SET_VRING_CALL, 1ull << 32, call_fd);
}

static void err_of_no_ring(void)
{
	send_u64(SET_VRING_ERR, 0xff, call_fd);
}

static void num_of_no_ring(void)
{
	send_vring(SET_VRING_NUM, QUEUES, SIZE);
}

static void num_too_large(void)
{
	send_vring(SET_VRING_NUM, 0, 0x10000 + SIZE);
}

static void num_while_it_runs(void)
{
	set_up_ring(VIRTIO_F_VERSION_1, 0);
	send_vring(SET_VRING_NUM, 0, VIRTQUEUE_MAX_SIZE);
}

static void base_of_no_ring(void)
{
	send_vring(SET_VRING_BASE, UINT32_MAX, 0);
}

static void base_too_large(void)
{
	send_vring(SET_VRING_BASE, 0, UINT16_MAX + 1);
}

static void enable_of_no_ring(void)
{
	send_vring(SET_VRING_ENABLE, QUEUES, 1);
}

static void get_base_of_no_ring(void)
{
	send_vring(GET_VRING_BASE, QUEUES, 0);
}

static void rings_before_memory(void)
{
	send_rings(0, TO_USER(DRIVER_DESC), TO_USER(DRIVER_AVAIL), TO_USER(DRIVER_USED));
}

static void rings_outside_memory(void)
{
	send_region(all_ram);
	send_rings(0, TO_USER(DRIVER_DESC), TO_USER(DRIVER_RAM_END), TO_USER(DRIVER_USED));
}

static void rings_of_no_ring(void)
{
	send_region(all_ram);
	send_rings(QUEUES, TO_USER(DRIVER_DESC), TO_USER(DRIVER_AVAIL), TO_USER(DRIVER_USED));
}

static void ring_reaches_outside(void)
{
	send_u64(SET_FEATURES, VIRTIO_F_VERSION_1, -1);
	send_region(all_ram);
	send_vring(SET_VRING_NUM, 0, SIZE);
	send_rings(0, TO_USER(DRIVER_DESC), TO_USER(DRIVER_AVAIL), TO_USER(DRIVER_RAM_END - 8));
	send_u64(SET_VRING_KICK, 0, kick_fd);
}

static void ring_without_size(void)
{
	send_vring(SET_VRING_ENABLE, 0, 1);
	send_u64(SET_VRING_KICK, 0, kick_fd);
}

static void region_outside_ram(void)
{
	send_region((struct vhost_user_region){
		.gpa = DRIVER_RAM_END - 0x1000, .size = 0x2000, .user = USER });
}

static void region_wraps_around(void)
{
	send_region((struct vhost_user_region){
		.gpa = DRIVER_RAM_GPA, .size = 0x2000, .user = UINT64_MAX - 0xfff });
}

static void region_is_empty(void)
{
	send_region((struct vhost_user_region){ .gpa = DRIVER_RAM_GPA, .user = USER });
}

static void more_regions_than_sent(void)
{
	struct vhost_user_message message = make(SET_MEM_TABLE, 8 + 32);
	const int fds[2] = { kick_fd, call_fd };

	message.payload.memory.count = 2;
	message.payload.memory.regions[0] = all_ram;
	send_message(&message, fds, 2);
}

static void more_regions_than_there_can_be(void)
{
	struct vhost_user_message message = make(SET_MEM_TABLE, 8);

	message.payload.memory.count = UINT32_MAX;
	send_message(&message, NULL, 0);
}

static void config_larger_than_its_message(void)
{
	struct vhost_user_message message = make(GET_CONFIG, 12 + 8);

	message.payload.config.size = 256;
	send_message(&message, NULL, 0);
}

static void config_too_large(void)
{
	struct vhost_user_message message = make(GET_CONFIG, 12);

	message.payload.config.size = UINT32_MAX;
	send_message(&message, NULL, 0);
}

#define CASE(function) { #function, function }

static const struct {
	const char	*name;
	void		(*send)(void);
} hostile[] = {
	CASE(bad_version), CASE(bad_reply), CASE(unknown_request), CASE(hole_in_requests),
	CASE(huge_request), CASE(huge_size), CASE(short_payload), CASE(long_payload),
	CASE(features_not_offered), CASE(protocol_features_not_offered),
	CASE(descriptor_with_a_plain_message), CASE(too_many_descriptors),
	CASE(descriptors_pile_up), CASE(two_kicks), CASE(kick_without_descriptor),
	CASE(descriptor_announced_as_missing), CASE(kick_of_no_ring), CASE(call_with_stray_bits),
	CASE(err_of_no_ring), CASE(num_of_no_ring), CASE(num_too_large), CASE(num_while_it_runs),
	CASE(base_of_no_ring), CASE(base_too_large), CASE(enable_of_no_ring),
	CASE(get_base_of_no_ring), CASE(rings_before_memory), CASE(rings_outside_memory),
	CASE(rings_of_no_ring), CASE(ring_reaches_outside), CASE(ring_without_size),
	CASE(region_outside_ram), CASE(region_wraps_around), CASE(region_is_empty),
	CASE(more_regions_than_sent), CASE(more_regions_than_there_can_be),
	CASE(config_larger_than_its_message), CASE(config_too_large),
};

static void test_hostile_messages(void)
{
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		unsigned before = open_descriptors();

		open_transport();
		hostile[i].send();
		check_that(closings == 1, __FILE__, __LINE__, hostile[i].name);
		CHECK(closing_error < 0);
		close_transport();
		CHECK_INT(open_descriptors(), before);
	}
}

int main(void)
{
	CHECK_RUN(test_features);
	CHECK_RUN(test_config);
	CHECK_RUN(test_requests_are_served);
	CHECK_RUN(test_event_index_is_negotiated);
	CHECK_RUN(test_nothing_runs_before_enable);
	CHECK_RUN(test_old_front_ends_know_no_enable);
	CHECK_RUN(test_stop_and_start_again);
	CHECK_RUN(test_message_in_pieces);
	CHECK_RUN(test_messages_at_once);
	CHECK_RUN(test_front_end_goes_away);
	CHECK_RUN(test_front_end_goes_away_within_a_message);
	CHECK_RUN(test_hostile_messages);
	return check_report();
}
