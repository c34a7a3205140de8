/* Split virtqueues, device side. */
#include "queue.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define DESC_F_NEXT		1
#define DESC_F_WRITE		2
#define DESC_F_INDIRECT		4
#define AVAIL_F_NO_INTERRUPT	1

struct virtq_desc {
	uint64_t	address;
	uint32_t	length;
	uint16_t	flags;
	uint16_t	next;
};

struct virtq_used_elem {
	uint32_t	id;
	uint32_t	length;
};

/*
 * Both index rings are { u16 flags, u16 idx, ring[size], u16 event }; avail's
 * entries are one u16 each, used's are a virtq_used_elem (four u16).
 */
#define RING_FLAGS	0
#define RING_INDEX	1
#define RING_START	2
#define USED_ELEM_U16S	4

static size_t avail_bytes(uint16_t size)
{
	return sizeof(uint16_t) * (RING_START + (size_t)size + 1);
}

static size_t used_bytes(uint16_t size)
{
	return sizeof(uint16_t) * (RING_START + (size_t)size * USED_ELEM_U16S + 1);
}

int virtqueue_enable(struct virtqueue *queue, uint16_t next_avail)
{
	uint16_t size = queue->size;

	if (size == 0 || size > VIRTQUEUE_MAX_SIZE || (size & (size - 1)))
		return -EINVAL;
	if (queue->desc_gpa % 16 || queue->avail_gpa % 2 || queue->used_gpa % 4)
		return -EINVAL;
	queue->desc = mem_at(queue->memory, queue->desc_gpa, sizeof(struct virtq_desc) * size);
	queue->avail = mem_at(queue->memory, queue->avail_gpa, avail_bytes(size));
	queue->used = mem_at(queue->memory, queue->used_gpa, used_bytes(size));
	if (!queue->desc || !queue->avail || !queue->used)
		return -EINVAL;
	queue->next_avail = next_avail;
	queue->next_used = queue->used[RING_INDEX];
	queue->signalled_used = queue->next_used;
	queue->broken = false;
	queue->enabled = true;
	return 0;
}

uint16_t virtqueue_disable(struct virtqueue *queue)
{
	queue->enabled = false;
	return queue->next_avail;
}

void virtqueue_reset(struct virtqueue *queue)
{
	*queue = (struct virtqueue){ .memory = queue->memory };
}

static int broken(struct virtqueue *queue)
{
	queue->broken = true;
	return -EINVAL;
}

/* Where the driver reads from which avail index on it must notify (used ring's last word). */
static void ask_for_notification(struct virtqueue *queue)
{
	if (queue->event_idx)
		queue->used[RING_START + queue->size * USED_ELEM_U16S] = queue->next_avail;
	/* The driver must see the wish before we look for the last time. */
	atomic_thread_fence(memory_order_seq_cst);
}

/* Collects the descriptors from @index on into @chain. */
static int walk(struct virtqueue *queue, uint16_t index, struct virtq_chain *chain)
{
	unsigned count = 0;

	for (;;) {
		if (index >= queue->size || count == VIRTQUEUE_MAX_IOV)
			return -EINVAL;
		/* Copied once: the guest may change it while we look. */
		struct virtq_desc desc;

		memcpy(&desc, &queue->desc[index], sizeof(desc));
		if (desc.flags & DESC_F_INDIRECT)
			return -EINVAL;
		void *host = mem_at(queue->memory, desc.address, desc.length);

		if (!host)
			return -EINVAL;
		chain->iov[count++] = (struct iovec){ .iov_base = host, .iov_len = desc.length };
		if (desc.flags & DESC_F_WRITE) {
			chain->in_count++;
			chain->in_size += desc.length;
		} else {
			if (chain->in_count)
				return -EINVAL;	/* readable after writable */
			chain->out_count++;
			chain->out_size += desc.length;
		}
		if (!(desc.flags & DESC_F_NEXT))
			return 0;
		index = desc.next;
	}
}

int virtqueue_pop(struct virtqueue *queue, struct virtq_chain *chain)
{
	if (!queue->enabled || queue->broken)
		return queue->broken ? -EINVAL : 0;
	if (queue->in_turn && queue->turn_left == 0)
		return 0;
	uint16_t pending = (uint16_t)(queue->avail[RING_INDEX] - queue->next_avail);

	if (pending == 0) {
		ask_for_notification(queue);
		pending = (uint16_t)(queue->avail[RING_INDEX] - queue->next_avail);
		if (pending == 0)
			return 0;
	}
	if (pending > queue->size)
		return broken(queue);
	atomic_thread_fence(memory_order_acquire);
	chain->head = queue->avail[RING_START + queue->next_avail % queue->size];
	chain->out_count = chain->in_count = 0;
	chain->out_size = chain->in_size = 0;
	if (walk(queue, chain->head, chain) < 0)
		return broken(queue);
	queue->next_avail++;
	if (queue->in_turn)
		queue->turn_left--;
	return 1;
}

void virtqueue_unpop(struct virtqueue *queue)
{
	queue->next_avail--;
}

void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written)
{
	struct virtq_used_elem element = { .id = head, .length = written };
	size_t slot = RING_START + (size_t)(queue->next_used % queue->size) * USED_ELEM_U16S;

	memcpy((void *)&queue->used[slot], &element, sizeof(element));
	queue->next_used++;
	atomic_thread_fence(memory_order_release);
	queue->used[RING_INDEX] = queue->next_used;
}

bool virtqueue_wants_interrupt(struct virtqueue *queue)
{
	uint16_t before = queue->signalled_used;
	uint16_t now = queue->next_used;

	if (!queue->enabled || before == now)
		return false;
	queue->signalled_used = now;
	/* What was pushed must be visible before the driver's wish is read. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!queue->event_idx)
		return !(queue->avail[RING_FLAGS] & AVAIL_F_NO_INTERRUPT);
	uint16_t event = queue->avail[RING_START + queue->size];

	/* Virtio 1.2, 2.7.7.2: has the index passed the event since last time? */
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

/* Visits the parts of [skip, skip + size) in each entry; @to decides the direction. */
static size_t copy(const struct iovec *iov, unsigned count, size_t skip, uint8_t *buffer,
		   size_t size, bool to)
{
	size_t done = 0;

	for (unsigned i = 0; i < count && done < size; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		size_t part = iov[i].iov_len - skip;
		uint8_t *at = (uint8_t *)iov[i].iov_base + skip;

		if (part > size - done)
			part = size - done;
		if (to)
			memcpy(at, buffer + done, part);
		else
			memcpy(buffer + done, at, part);
		done += part;
		skip = 0;
	}
	return done;
}

size_t iov_copy_from(void *buffer, size_t size, const struct iovec *iov, unsigned count,
		     size_t skip)
{
	return copy(iov, count, skip, buffer, size, false);
}

size_t iov_copy_to(const struct iovec *iov, unsigned count, size_t skip, const void *buffer,
		   size_t size)
{
	return copy(iov, count, skip, (uint8_t *)(uintptr_t)buffer, size, true);
}

unsigned iov_trim_front(struct iovec *iov, unsigned count, size_t size)
{
	unsigned i = 0;

	while (i < count && size >= iov[i].iov_len)
		size -= iov[i++].iov_len;
	if (i < count) {
		iov[i].iov_base = (uint8_t *)iov[i].iov_base + size;
		iov[i].iov_len -= size;
	}
	return i;
}

unsigned iov_limit(struct iovec *iov, unsigned count, size_t size)
{
	unsigned i = 0;

	for (; i < count && size; i++) {
		if (iov[i].iov_len > size)
			iov[i].iov_len = size;
		size -= iov[i].iov_len;
	}
	return i;
}
